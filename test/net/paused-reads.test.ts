import { connect as connectTcp, createServer as createTcpServer, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { describe, expect, it } from '@jest/globals';
import type { Connection } from '../../runtime/net/connection.ts';
import { socketConnection } from '../../runtime/net/socket.ts';
import { createAuthority, svidOf } from '../proxy/mesh.ts';
import { eventually } from '../support/eventually.ts';
import { listening } from '../support/listening.ts';

/** A connection that was paused the moment it was there, as one is that waits for another. */
async function pausedAtOnce(dial: (port: number) => Socket, tls?: { readonly key: string; readonly cert: string }) {
  const { promise, resolve } = Promise.withResolvers<{ connection: Connection; socket: Socket }>();
  const take = (socket: Socket): void => {
    const connection = socketConnection(socket);
    connection.pause();
    resolve({ connection, socket });
  };
  const server = tls ? createTlsServer({ ...tls, allowHalfOpen: true }, take) : createTcpServer(take);
  const running = await listening(server);
  const client = dial(running.port);
  const close = () => {
    client.destroy();
    return running.close();
  };
  return { ...(await promise), client, close };
}

/** Time for what is under way to come. */
async function someTurns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((done) => setImmediate(done));
}

function listenTo(connection: Connection): { text: string } {
  const heard = { text: '' };
  const nothing = () => {};
  const onData = (chunk: Buffer): void => {
    heard.text += chunk.toString('latin1');
  };
  connection.handler = { onData, onEnd: nothing, onDrain: nothing, onClose: nothing };
  return heard;
}

/** What it hears when it goes on, after another connection has heard something else. */
async function heardLater(connection: Connection, expected: string): Promise<string> {
  await someTurns();
  const other = await pausedAtOnce((port) => {
    const socket = connectTcp(port, '127.0.0.1');
    socket.on('error', () => {});
    return socket;
  });
  const elsewhere = listenTo(other.connection);
  other.connection.resume();
  const strange = '?'.repeat(expected.length);
  other.client.write(strange);
  await eventually(() => elsewhere.text === strange);
  other.close();
  const heard = listenTo(connection);
  connection.resume();
  await eventually(() => heard.text.length >= expected.length);
  return heard.text;
}

describe('a connection that is paused', () => {
  it('keeps what came with the last words of its TLS handshake', async () => {
    const { key, certChainPem: cert } = await svidOf(await createAuthority(), 'web');
    for (let round = 0; round < 10; round++) {
      const dial = (port: number) => {
        const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
        socket.on('error', () => {}).write('first words, ');
        socket.once('secureConnect', () => socket.write('second words'));
        return socket;
      };
      const { connection, close } = await pausedAtOnce(dial, { key, cert });
      expect(await heardLater(connection, 'first words, second words')).toBe('first words, second words');
      await close();
    }
  });

  it('keeps what comes in plain text', async () => {
    const dial = (port: number) => {
      const socket = connectTcp(port, '127.0.0.1');
      socket.on('error', () => {}).write('plain words');
      return socket;
    };
    const { connection, close } = await pausedAtOnce(dial);
    expect(await heardLater(connection, 'plain words')).toBe('plain words');
    await close();
  });

  it.each(['plain text', 'TLS'])('leaves what comes beyond a read to the kernel, over %s', async (transport) => {
    const { key, certChainPem: cert } = await svidOf(await createAuthority(), 'web');
    const isTls = transport === 'TLS';
    const dial = (port: number) => {
      const options = { port, host: '127.0.0.1', rejectUnauthorized: false };
      const sender = isTls ? connectTls(options) : connectTcp(options);
      sender.on('error', () => {}).write(Buffer.alloc(20_000_000));
      return sender;
    };
    const { connection, socket, close } = await pausedAtOnce(dial, isTls ? { key, cert } : undefined);
    await someTurns();
    expect(socket.bytesRead).toBeLessThan(200_000);
    connection.destroy();
    await close();
  });
});
