/**
 * Keeps carts in memory behind a TCP line protocol in which the server speaks first:
 *
 *     < READY cart-store
 *     > SET ada ["walden"]
 *     < OK
 *     > GET ada
 *     < VALUE ["walden"]
 *     > DEL ada
 *     < OK
 */
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { address } from './common.ts';

const values = new Map<string, string>();
const clients = new Set<Socket>();

function answer(line: string): string {
  const [, verb, key, value] = /^(\S+) (\S+)(?: (.*))?$/.exec(line) ?? [];
  switch (verb) {
    case 'GET': {
      const found = values.get(key);
      return found === undefined ? 'NONE' : `VALUE ${found}`;
    }
    case 'SET':
      values.set(key, value ?? '');
      return 'OK';
    case 'DEL':
      values.delete(key);
      return 'OK';
    default:
      return 'ERROR expected GET, SET or DEL';
  }
}

const server = createServer((socket) => {
  clients.add(socket);
  socket.on('close', () => clients.delete(socket)).on('error', () => undefined);
  socket.write('READY cart-store\n');
  createInterface(socket)
    .on('line', (line) => socket.write(`${answer(line)}\n`))
    .on('error', () => undefined);
});

const listening = address(6380);
server.listen(listening, () => console.log(`cart-store listens on port ${listening.port}`));

process.once('SIGTERM', () => {
  server.close(() => process.exit(0));
  for (const socket of clients) socket.end();
});
