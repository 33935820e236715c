import type { Connection } from '../connection.ts';
import type { ServerHandler } from '../http.ts';

/** Handles the requests of an HTTP/1.1 connection. */
export interface Http1ServerHandler extends ServerHandler {
  /**
   * Takes over the connection for a CONNECT to `authority`: the codec is detached, so the handler sets
   * `connection.handler` and writes the 200 itself. `rest` came behind the request. `refuse` gives the connection back,
   * to be answered with `status` and closed; only before anything was written. Without this method CONNECT gets 501.
   */
  onConnect?(authority: string, connection: Connection, rest: Buffer, refuse: (status: number) => void): void;
  /**
   * Takes over a connection whose client speaks HTTP/2 from the first byte; the codec is detached. `bytes` is what came,
   * the preface first. Without this method the client gets 505.
   */
  onHttp2?(connection: Connection, bytes: Buffer): void;
}
