import type { Server as HttpServer } from 'node:http';
import type { Http2SecureServer, ServerHttp2Session } from 'node:http2';
import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { type Clock, formatHostPort } from '../model/index.ts';

export interface Listening {
  /** `host:port`, with the port that was given where it was 0. */
  readonly address: string;
  /**
   * Asks the connections of HTTP/2 that there are to go elsewhere, then ends them: not all at once, as who is on the
   * other side comes back elsewhere at the same moment.
   *
   * @param duration - milliseconds until the last one is asked
   */
  drain(duration: number, clock: Clock): Promise<void>;
  /** Stops listening and ends every connection. */
  close(): Promise<void>;
}

/** Milliseconds between two groups of connections that are asked to go. */
const drainStep = 100;
/** Milliseconds that what is under way on a connection has until it ends. */
const farewell = 1_000;

/** Starts to listen on `host:port`, or on all addresses at `:port`; rejects where the port is in use. */
export async function listen(
  server: HttpServer | HttpsServer | Http2SecureServer,
  address: string,
): Promise<Listening> {
  const { host, port } = parseAddress(address);
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('session', (session: ServerHttp2Session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  // A connection that could not be accepted is none.
  server.on('error', () => {});
  const bound = server.address() as AddressInfo;
  const pause = (clock: Clock, delay: number) => new Promise<void>((resolve) => clock.schedule(delay, resolve));
  return {
    address: formatHostPort({ host: bound.address, port: bound.port }),
    async drain(duration, clock) {
      const leaving = [...sessions];
      const steps = Math.max(1, Math.ceil(duration / drainStep));
      const size = Math.max(1, Math.ceil(leaving.length / steps));
      for (let start = 0; start < leaving.length; start += size) {
        if (start > 0) await pause(clock, drainStep);
        for (const session of leaving.slice(start, start + size)) {
          session.close();
          clock.schedule(farewell, () => session.destroy());
        }
      }
      if (leaving.length > 0) await pause(clock, farewell);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function parseAddress(address: string): { host: string | undefined; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (!match || port > 65535) throw new Error(`${address} is not host:port`);
  return { host: match[1] || match[2] || undefined, port };
}
