import type { Clock, Timer } from '../../model/index.ts';
import type { HttpLimits } from '../http.ts';

/** Ticks without progress until a stream is given up. */
export const idleTicks = 4;
/** Milliseconds a peer has to close its side after we closed ours. */
const lingerTimeout = 5000;

/** The connection that is watched. */
export interface Watched {
  readonly active: number;
  /** Frames that have begun to arrive. */
  readonly frames: number;
  /** The peer must send the rest of something, other than a body. */
  readonly expectsMore: boolean;
  onHeadTimeout(): void;
  onIdleTimeout(): void;
  /** A part of the time passed that streams have for making progress. */
  onTick(): void;
  onLingerTimeout(): void;
}

/** The timeouts of a connection. None is set or cancelled per request: they look up when they fire. */
export class SessionTimers {
  readonly #watched: Watched;
  readonly #clock: Clock;
  readonly #limits: HttpLimits;
  #idleSince: number;
  #head: Timer | undefined;
  #idle: Timer | undefined;
  #tick: Timer | undefined;
  #linger: Timer | undefined;

  constructor(watched: Watched, clock: Clock, limits: HttpLimits) {
    this.#watched = watched;
    this.#clock = clock;
    this.#limits = limits;
    this.#idleSince = clock.now();
    this.#watchIdle(limits.idleTimeout);
  }

  /** To be called after bytes arrived. */
  watchHead(): void {
    if (this.#head || !this.#watched.expectsMore) return;
    const { frames } = this.#watched;
    this.#head = this.#clock.schedule(this.#limits.headTimeout, () => {
      this.#head = undefined;
      if (this.#watched.expectsMore && this.#watched.frames === frames) this.#watched.onHeadTimeout();
      else this.watchHead();
    });
  }

  /** To be called when a stream opened. */
  watchStreams(): void {
    this.#tick ??= this.#clock.schedule(this.#limits.streamIdleTimeout / idleTicks, () => {
      this.#tick = undefined;
      this.#watched.onTick();
      if (this.#watched.active > 0) this.watchStreams();
    });
  }

  /** To be called when the last stream ended. */
  markIdle(): void {
    this.#idleSince = this.#clock.now();
  }

  linger(): void {
    this.#linger ??= this.#clock.schedule(lingerTimeout, () => this.#watched.onLingerTimeout());
  }

  /** Ends all but lingering. */
  stop(): void {
    this.#head?.cancel();
    this.#idle?.cancel();
    this.#tick?.cancel();
  }

  stopLingering(): void {
    this.#linger?.cancel();
  }

  #watchIdle(delay: number): void {
    this.#idle = this.#clock.schedule(delay, () => {
      const idleFor = this.#watched.active > 0 ? 0 : this.#clock.now() - this.#idleSince;
      if (idleFor >= this.#limits.idleTimeout) this.#watched.onIdleTimeout();
      else this.#watchIdle(this.#limits.idleTimeout - idleFor);
    });
  }
}
