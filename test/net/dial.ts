import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { Connection } from '../../runtime/net/connection.ts';
import { socketConnection } from '../../runtime/net/socket.ts';
import { createAuthority, svidOf } from '../proxy/mesh.ts';

export type Transport = 'plain text' | 'TLS';

const opened: { destroy(): void }[] = [];
let identity: Promise<{ readonly key: string; readonly cert: string }> | undefined;

async function createIdentity() {
  const { key, certChainPem: cert } = await svidOf(await createAuthority(), 'web');
  return { key, cert };
}

/** Closes all that was dialled. */
export function hangUp(): void {
  for (const each of opened.splice(0)) each.destroy();
}

/** The writing end as a connection, and the reading end, which does not read yet. */
export async function dial(transport: Transport, before?: (socket: Socket) => void) {
  const accepted = Promise.withResolvers<Connection>();
  const take = (socket: Socket): void => {
    before?.(socket);
    accepted.resolve(socketConnection(socket));
  };
  identity ??= createIdentity();
  const options = { ...(await identity), allowHalfOpen: true };
  const server = transport === 'TLS' ? createTlsServer(options, take) : createTcpServer(options, take);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const reader: Socket =
    transport === 'TLS'
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : connectTcp(port, '127.0.0.1');
  reader.on('error', () => {});
  const connection = await accepted.promise;
  server.close();
  const watched = watch(connection);
  opened.push(reader, connection);
  return { reader, connection, ...watched };
}

function watch(connection: Connection) {
  const drained = { count: 0 };
  const closed = Promise.withResolvers<Error | undefined>();
  connection.handler = {
    onData() {},
    onEnd() {},
    onDrain: () => {
      drained.count++;
    },
    onClose: (error) => closed.resolve(error),
  };
  return { drained, closed: closed.promise };
}
