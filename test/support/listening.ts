import type { AddressInfo, Server, Socket } from 'node:net';

/** A server of a test, whatever it speaks, on a free port of loopback. */
export interface Listening {
  readonly port: number;
  /** Cuts its connections, and takes no more. */
  close(): Promise<void>;
}

/** Has a server listen. */
export async function listening(server: Server): Promise<Listening> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket.on('error', () => {}));
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
