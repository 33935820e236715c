import type { Clock } from '../model/index.ts';
import { type Connection, type ConnectionHandler, Output } from '../net/index.ts';
import { IdleWatch } from './idle-watch.ts';

/** What went through a tunnel. */
export interface TunnelResult {
  /** Bytes from the first to the second connection, and back. */
  readonly sent: number;
  readonly received: number;
  readonly error?: Error;
}

/** One of the connections: what came from it, and what goes to it. */
class Side {
  bytes = 0;
  ended = false;
  closed = false;
  readonly connection: Connection;
  readonly output: Output;

  constructor(connection: Connection) {
    this.connection = connection;
    this.output = new Output(connection);
  }
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
  const sides: [Side, Side] = [new Side(first), new Side(second)];
  let failure: Error | undefined;
  const watch = new IdleWatch(clock, idleTimeout, () => {
    const error = new Error(`nothing was sent for ${idleTimeout} ms`);
    first.destroy(error);
    second.destroy(error);
  });

  const copy = (from: Side, to: Side): ConnectionHandler => ({
    onData(chunk) {
      watch.touch();
      from.bytes += chunk.length;
      to.output.bytes(chunk);
      if (to.output.blocked) from.connection.pause();
    },
    onEnd() {
      from.ended = true;
      to.output.flush();
      to.connection.end();
    },
    onDrain() {
      from.output.blocked = false;
      to.connection.resume();
    },
    onClose(error) {
      from.closed = true;
      failure ??= error;
      if (!to.closed) {
        if (!from.ended || !to.ended) to.connection.destroy(error);
        return;
      }
      watch.stop();
      done({ sent: sides[0].bytes, received: sides[1].bytes, ...(failure && { error: failure }) });
    },
  });
  first.handler = copy(sides[0], sides[1]);
  second.handler = copy(sides[1], sides[0]);
  first.resume();
  second.resume();
}
