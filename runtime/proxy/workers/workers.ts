import type { Logger, Svid } from '../../identity/index.ts';
import type { Clock, Resource, Timer } from '../../model/index.ts';
import { addUp, countsOf, type Value } from '../../telemetry/index.ts';
import type { Bootstrap } from '../bootstrap.ts';
import type { ConfigurationChange, FromWorker, ToWorker } from './messages.ts';

/** A process that runs a worker; a child process with a channel fits. */
export interface WorkerProcess {
  readonly pid?: number | undefined;
  readonly connected: boolean;
  send(message: ToWorker, sent: (error: Error | null) => void): unknown;
  kill(signal: 'SIGKILL'): unknown;
  on(event: 'message', listener: (message: FromWorker) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'exit', listener: (code: number | null, signal: string | null) => void): unknown;
}

export interface WorkersOptions {
  readonly bootstrap: Bootstrap;
  readonly startProcess: () => WorkerProcess;
  /** What a worker that starts is given. */
  readonly state: () => { readonly svid: Svid; readonly resources: readonly Resource[] };
  /** Milliseconds that a worker has to drain, before it is killed. */
  readonly drainTimeout: () => number;
  /** Counts workers that ended by themselves. */
  readonly restarts: Value;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Milliseconds before a worker that ended is started again: doubled for each that did not live long. */
const firstDelay = 500;
const longestDelay = 30_000;
const longLife = 60_000;
/** For a worker to tell its metrics; those it told last count after that. */
const metricsPatience = 1000;
/** Beyond the drain timeout, until a worker is killed. */
const killGrace = 2000;

interface Member {
  readonly process: WorkerProcess;
  readonly started: number;
  listening: boolean;
  /** Its metrics, as it told them last. */
  metrics: string;
  heard: (() => void)[];
}

/** The further processes of a proxy that has more than one. They listen on the same ports, and the kernel spreads connections. */
export class Workers {
  readonly #options: WorkersOptions;
  readonly #members = new Set<Member>();
  readonly #listening = Promise.withResolvers<void>();
  #wanted = 0;
  #failures = 0;
  readonly #restarting = new Set<Timer>();
  /** What those that are gone have counted. */
  #past = '';
  #ready = false;
  #closing = false;
  #ended: (() => void) | undefined;

  constructor(options: WorkersOptions) {
    this.#options = options;
  }

  /** Resolves when all have come to listen; those that must be started again later are not waited for. */
  start(count: number): Promise<void> {
    this.#wanted = count;
    for (let index = 0; index < count; index++) this.#start();
    return this.#listening.promise;
  }

  /** Why the proxy is not ready yet; `undefined` once all have listened. */
  get notReady(): string | undefined {
    return this.#ready ? undefined : 'not all workers listen yet';
  }

  setSvid(svid: Svid): void {
    this.#tell({ type: 'svid', svid });
  }

  apply(change: ConfigurationChange): void {
    this.#tell({ type: 'change', ...change });
  }

  /** The metrics of all processes, of which those of the first are `own`. */
  async expose(own: string): Promise<string> {
    await Promise.all([...this.#members].filter(({ listening }) => listening).map((member) => this.#ask(member)));
    return addUp([own, this.#past, ...[...this.#members].map(({ metrics }) => metrics)]);
  }

  /** Lets all drain; resolves when they have ended. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const timer of this.#restarting) timer.cancel();
    this.#tell({ type: 'drain' });
    if (this.#members.size === 0) return;
    const { clock, drainTimeout } = this.#options;
    const timer = clock.schedule(drainTimeout() + killGrace, () => {
      for (const { process } of this.#members) process.kill('SIGKILL');
    });
    await new Promise<void>((resolve) => {
      this.#ended = resolve;
    });
    timer.cancel();
  }

  #start(): void {
    const { startProcess, state, bootstrap, clock, logger } = this.#options;
    const process = startProcess();
    const member: Member = { process, started: clock.now(), listening: false, metrics: '', heard: [] };
    this.#members.add(member);
    process.on('message', (message) => {
      if (message.type === 'hello') this.#send(member, { type: 'start', bootstrap, ...state() });
      else if (message.type === 'listening') this.#onListening(member);
      else {
        member.metrics = message.text;
        for (const heard of member.heard.splice(0)) heard();
      }
    });
    process.on('error', (error) => logger.warn({ error: String(error) }, 'a worker cannot be reached'));
    process.on('exit', (code, signal) => this.#onExit(member, signal ?? `code ${code}`));
  }

  #onListening(member: Member): void {
    member.listening = true;
    if (this.#ready || [...this.#members].filter(({ listening }) => listening).length < this.#wanted) return;
    this.#ready = true;
    this.#listening.resolve();
  }

  #onExit(member: Member, how: string): void {
    this.#members.delete(member);
    this.#past = addUp([this.#past, countsOf(member.metrics)]);
    for (const heard of member.heard.splice(0)) heard();
    if (this.#closing) {
      if (this.#members.size === 0) this.#ended?.();
      return;
    }
    const { clock, logger, restarts } = this.#options;
    restarts.add(1);
    this.#failures = clock.now() - member.started > longLife ? 0 : this.#failures + 1;
    const delay = Math.min(firstDelay * 2 ** Math.max(0, this.#failures - 1), longestDelay);
    logger.warn({ pid: member.process.pid, how, delay }, 'a worker ended; it is started again');
    const timer = clock.schedule(delay, () => {
      this.#restarting.delete(timer);
      this.#start();
    });
    this.#restarting.add(timer);
  }

  #ask(member: Member): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.schedule(metricsPatience, resolve);
      member.heard.push(() => {
        timer.cancel();
        resolve();
      });
      this.#send(member, { type: 'metrics' });
    });
  }

  /** One that has not said hello yet is given the newest of everything then. */
  #tell(message: ToWorker): void {
    for (const member of this.#members) this.#send(member, message);
  }

  #send({ process }: Member, message: ToWorker): void {
    // That it is gone is heard by its exit.
    if (process.connected) process.send(message, () => {});
  }
}
