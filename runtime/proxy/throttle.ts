import type { Clock, FaultBandwidth, Timer } from '../model/index.ts';
import type {
  ClientConnection,
  ClientStream,
  HeaderList,
  PoolWaiter,
  RequestHead,
  ResetReason,
  ResponseHead,
  ResponseReceiver,
} from '../net/index.ts';
import type { ConnectionSource } from './exchange-plan.ts';

/** Has the bodies of one request pass slowly, over whatever connection it gets. */
export class Throttling implements ConnectionSource {
  readonly #source: ConnectionSource;
  readonly #bandwidth: FaultBandwidth;
  readonly #clock: Clock;
  #waiter: PoolWaiter | undefined;

  constructor(source: ConnectionSource, bandwidth: FaultBandwidth, clock: Clock) {
    this.#source = source;
    this.#bandwidth = bandwidth;
    this.#clock = clock;
  }

  acquire(waiter: PoolWaiter, anew?: boolean): void {
    const slow = (connection: ClientConnection): ClientConnection => ({
      capacity: connection.capacity,
      active: connection.active,
      request: (head, end, receiver) => this.#request(connection, head, end, receiver),
      drain: () => connection.drain(),
      destroy: () => connection.destroy(),
    });
    this.#waiter = {
      onConnection: (connection) => waiter.onConnection(slow(connection)),
      onUnavailable: (error) => waiter.onUnavailable(error),
      onQueue: () => waiter.onQueue?.(),
    };
    this.#source.acquire(this.#waiter, anew);
  }

  forget(): void {
    if (this.#waiter) this.#source.forget(this.#waiter);
  }

  #request(connection: ClientConnection, head: RequestHead, end: boolean, receiver: ResponseReceiver): ClientStream {
    const slow = new SlowStream(receiver, this.#bandwidth, this.#clock);
    slow.attach(connection.request(head, end, slow));
    return slow;
  }
}

/** Stands between an exchange and its stream. Who is slower than the bandwidth is waited for all the same. */
class SlowStream implements ClientStream, ResponseReceiver {
  readonly #receiver: ResponseReceiver;
  readonly #out: Pacer | undefined;
  readonly #in: Pacer | undefined;
  #stream: ClientStream | undefined;
  /** The exchange reads, or does not for now. */
  #paused = false;
  /** The stream has said or taken its last. */
  #saidAll = false;
  #tookAll = false;

  constructor(receiver: ResponseReceiver, { request, response }: FaultBandwidth, clock: Clock) {
    this.#receiver = receiver;
    if (request !== undefined) {
      this.#out = new Pacer(request, clock, {
        pass: (chunk) => this.#stream?.write(chunk) ?? true,
        onEmpty: () => receiver.onDrain(),
      });
    }
    if (response !== undefined) {
      this.#in = new Pacer(response, clock, {
        pass: (chunk) => {
          receiver.onData(chunk);
          return !this.#paused;
        },
        onEmpty: () => {
          if (!this.#saidAll && !this.#paused) this.#stream?.resume();
        },
      });
    }
  }

  attach(stream: ClientStream): void {
    this.#stream = stream;
  }

  write(chunk: Buffer): boolean {
    return this.#out ? this.#out.push(chunk) : (this.#stream?.write(chunk) ?? true);
  }

  end(trailers?: HeaderList): void {
    const end = () => {
      this.#tookAll = true;
      this.#stream?.end(trailers);
    };
    if (this.#out) this.#out.end(end);
    else end();
  }

  reset(reason: ResetReason): void {
    this.#stop();
    if (!this.#saidAll || !this.#tookAll) this.#stream?.reset(reason);
  }

  pause(): void {
    this.#paused = true;
    this.#in?.hold();
    if (!this.#saidAll) this.#stream?.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#in) this.#in.proceed();
    else this.#stream?.resume();
  }

  onInformational(head: ResponseHead): void {
    this.#receiver.onInformational(head);
  }

  onResponse(head: ResponseHead, end: boolean): void {
    this.#saidAll = end;
    this.#receiver.onResponse(head, end);
  }

  onData(chunk: Buffer): void {
    if (!this.#in) this.#receiver.onData(chunk);
    // What the transport has read already still comes; it is no more than its window.
    else if (!this.#in.push(chunk)) this.#stream?.pause();
  }

  onEnd(trailers: HeaderList | undefined): void {
    this.#saidAll = true;
    const end = () => this.#receiver.onEnd(trailers);
    if (this.#in) this.#in.end(end);
    else end();
  }

  onReset(reason: ResetReason): void {
    this.#stop();
    this.#receiver.onReset(reason);
  }

  onDrain(): void {
    if (this.#out) this.#out.proceed();
    else this.#receiver.onDrain();
  }

  #stop(): void {
    this.#out?.stop();
    this.#in?.stop();
  }
}

/** Who gets what passes. */
interface PacerSink {
  /** Takes the chunk in any case; false when there is to be no more for now. */
  pass(chunk: Buffer): boolean;
  /** Everything has passed, and there may be more. */
  onEmpty(): void;
}

/** Bytes pass in portions, of as many as there are for so many milliseconds. */
const portion = 50;

/** Lets bytes pass at a rate. */
class Pacer {
  readonly #rate: number;
  readonly #clock: Clock;
  readonly #sink: PacerSink;
  readonly #waiting: Buffer[] = [];
  #timer: Timer | undefined;
  /** When the next byte may pass. */
  #next = 0;
  #held = false;
  #stopped = false;
  #end: (() => void) | undefined;

  /** `rate` in bytes a second. */
  constructor(rate: number, clock: Clock, sink: PacerSink) {
    this.#rate = rate;
    this.#clock = clock;
    this.#sink = sink;
  }

  /** Keeps a copy of what may not pass yet; false when there is to be no more until `onEmpty`. */
  push(chunk: Buffer): boolean {
    this.#waiting.push(Buffer.from(chunk));
    if (!this.#timer && !this.#held) this.#run(false);
    return this.#waiting.length === 0 && !this.#held;
  }

  /** Calls back when everything has passed. */
  end(done: () => void): void {
    this.#end = done;
    if (this.#waiting.length === 0 && !this.#held) this.#finish();
  }

  /** The sink takes nothing for now. */
  hold(): void {
    this.#held = true;
  }

  /** The sink takes bytes again. */
  proceed(): void {
    this.#held = false;
    if (!this.#timer) this.#run(true);
  }

  stop(): void {
    this.#stopped = true;
    this.#waiting.length = 0;
    this.#timer?.cancel();
  }

  #run(tell: boolean): void {
    while (this.#waiting.length > 0 && !this.#held && !this.#stopped) {
      const now = this.#clock.now();
      if (now < this.#next) {
        this.#timer = this.#clock.schedule(this.#next - now, () => {
          this.#timer = undefined;
          this.#run(true);
        });
        return;
      }
      const [first] = this.#waiting;
      const bytes = Math.min(first.length, Math.max(1, Math.floor((this.#rate * portion) / 1000)));
      if (bytes === first.length) this.#waiting.shift();
      else this.#waiting[0] = first.subarray(bytes);
      this.#next = Math.max(now, this.#next) + (bytes / this.#rate) * 1000;
      if (!this.#sink.pass(first.subarray(0, bytes))) this.#held = true;
    }
    if (this.#waiting.length > 0 || this.#held || this.#stopped) return;
    if (this.#end) this.#finish();
    else if (tell) this.#sink.onEmpty();
  }

  #finish(): void {
    const done = this.#end;
    this.#end = undefined;
    if (!this.#stopped) done?.();
  }
}
