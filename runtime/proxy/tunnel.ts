import type { Clock } from '../model/index.ts';
import type { Connection, ConnectionHandler } from '../net/index.ts';
import { IdleWatch } from './idle-watch.ts';

/** What went through a tunnel. */
export interface TunnelResult {
  /** Bytes from the first to the second connection, and back. */
  readonly sent: number;
  readonly received: number;
  readonly error?: Error;
}

interface Side {
  bytes: number;
  ended: boolean;
  closed: boolean;
}

/**
 * Copies bytes between two connections, both ways, until both ended. Each half closes on its own, a slow reader slows
 * the writer, and silence for `idleTimeout` milliseconds closes both.
 */
export function tunnel(
  first: Connection,
  second: Connection,
  options: { readonly clock: Clock; readonly idleTimeout: number },
  done: (result: TunnelResult) => void,
): void {
  const { clock, idleTimeout } = options;
  const sides: [Side, Side] = [
    { bytes: 0, ended: false, closed: false },
    { bytes: 0, ended: false, closed: false },
  ];
  let failure: Error | undefined;
  const watch = new IdleWatch(clock, idleTimeout, () => {
    const error = new Error(`nothing was sent for ${idleTimeout} ms`);
    first.destroy(error);
    second.destroy(error);
  });

  const copy = (from: Connection, to: Connection, side: Side, other: Side): ConnectionHandler => ({
    onData(chunk) {
      watch.touch();
      side.bytes += chunk.length;
      if (!to.write(chunk)) from.pause();
    },
    onEnd() {
      side.ended = true;
      to.end();
    },
    onDrain() {
      to.resume();
    },
    onClose(error) {
      side.closed = true;
      failure ??= error;
      if (!other.closed) {
        if (!side.ended || !other.ended) to.destroy(error);
        return;
      }
      watch.stop();
      done({ sent: sides[0].bytes, received: sides[1].bytes, ...(failure && { error: failure }) });
    },
  });
  first.handler = copy(first, second, sides[0], sides[1]);
  second.handler = copy(second, first, sides[1], sides[0]);
  first.resume();
  second.resume();
}
