import type { Clock } from '../model/index.ts';
import { beginsWithTls, type ClientHello, type Connection, parseClientHello } from '../net/index.ts';

export interface HelloReaderOptions {
  readonly clock: Clock;
  /** Milliseconds to the first byte. */
  readonly silence: number;
  /** Milliseconds from the first byte to the last of the ClientHello. */
  readonly timeout: number;
}

/** What a connection began with. */
export interface Beginning {
  /** Absent where it is not TLS, or was not there in time. */
  readonly hello?: ClientHello;
  /** All that was read; it is to be passed on. */
  readonly bytes: Buffer;
}

/**
 * Reads a connection to the end of its ClientHello, and no further than one can be long. `undefined` to `done`: the
 * client has left. Otherwise the connection is paused and waits for its next handler.
 */
export function readHello(
  connection: Connection,
  first: Buffer,
  { clock, silence, timeout }: HelloReaderOptions,
  done: (beginning: Beginning | undefined) => void,
): void {
  let seen = first;
  const settle = (beginning: Beginning | undefined): void => {
    timer.cancel();
    connection.handler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
    connection.pause();
    done(beginning);
  };
  const giveUp = (): void => settle({ bytes: seen });
  const look = (): void => {
    const hello = beginsWithTls(seen) ? parseClientHello(seen) : undefined;
    if (hello !== 'incomplete') settle({ hello, bytes: seen });
  };
  let timer = clock.schedule(seen.length > 0 ? timeout : silence, giveUp);
  connection.handler = {
    onData(chunk) {
      if (seen.length === 0) {
        timer.cancel();
        timer = clock.schedule(timeout, giveUp);
      }
      seen = Buffer.concat([seen, chunk]);
      look();
    },
    onEnd: () => settle(undefined),
    onDrain() {},
    onClose: () => settle(undefined),
  };
  connection.resume();
  if (seen.length > 0) look();
}
