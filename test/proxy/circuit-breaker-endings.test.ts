import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { HttpRule } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { breaker, inUse, limited } from './circuit-breaking.ts';
import {
  closeAll,
  closeLater,
  freePort,
  type RunningProxy,
  readUntil,
  send,
  startPairTo,
  startServer,
} from './mesh.ts';
import { endpointsOf, forwardTo, service } from './resources.ts';

afterEach(closeAll);

/** Answers as the path says, or not at all. */
async function startMoody(): Promise<number> {
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const { url = '' } = request;
    if (url.startsWith('/break')) request.socket.destroy();
    else if (url.startsWith('/half')) {
      response.writeHead(200, { 'content-length': '10' }).write('half');
      setImmediate(() => request.socket.destroy());
    } else if (url.startsWith('/fail')) response.writeHead(503).end();
    else if (url.startsWith('/race')) setTimeout(() => response.end('at last'), 60);
    else if (url.startsWith('/early')) response.end('early');
    else if (url.startsWith('/begin')) response.writeHead(200).write('begun');
    else if (!url.startsWith('/hold')) response.end('fine');
  };
  const server = createServer(answer);
  server.on('upgrade', ({ url }, socket) => {
    socket.on('error', () => {});
    if (url === '/fail') {
      socket.end('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n');
    if (url === '/bye') socket.end('bye');
    else socket.pipe(socket);
  });
  return startServer(server);
}

interface Ending {
  readonly outbound: number;
  readonly client: RunningProxy;
  /** Whether something is counted now. */
  readonly busy: () => boolean;
}

/** Sends raw HTTP/1.1, and gives the connection up when something is under way and `wanted` was said. */
async function giveUp({ outbound, busy }: Ending, head: string, wanted = ''): Promise<void> {
  const socket = connect(outbound, '127.0.0.1');
  closeLater(() => void socket.destroy());
  socket.on('error', () => {});
  socket.write(head);
  if (wanted) await readUntil(socket, wanted);
  await eventually(busy);
  socket.resetAndDestroy();
}

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nhost: reviews\r\n${more}\r\n`;

const endings: readonly [string, (ending: Ending) => Promise<unknown>][] = [
  ['is answered', ({ outbound }) => send(outbound)],
  ['is answered with a failure, try after try', ({ outbound }) => send(outbound, { path: '/fail' })],
  ['is reset before an answer, try after try', ({ outbound }) => send(outbound, { path: '/break' })],
  ['is broken off in its answer', ({ outbound }) => send(outbound, { path: '/half' }).catch(() => {})],
  ['takes longer than its rule allows', ({ outbound }) => send(outbound, { path: '/hold/limited' })],
  ['has tries that take too long', ({ outbound }) => send(outbound, { path: '/hold/tries' })],
  [
    'is answered before all of it is there',
    (ending) =>
      giveUp(
        { ...ending, busy: () => true },
        'POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nsome',
        'early',
      ),
  ],
  ['is given up by its caller', (ending) => giveUp(ending, get('/hold'))],
  ['is given up by its caller in the answer', (ending) => giveUp(ending, get('/begin'), 'begun')],
  [
    'becomes a tunnel that its application closes',
    (ending) => giveUp({ ...ending, busy: () => true }, get('/bye', 'connection: upgrade\r\nupgrade: echo\r\n'), 'bye'),
  ],
  [
    'becomes a tunnel that its caller closes',
    (ending) => giveUp(ending, get('/chat', 'connection: upgrade\r\nupgrade: echo\r\n'), '101'),
  ],
  [
    'asks for an upgrade that is refused',
    (ending) =>
      giveUp({ ...ending, busy: () => true }, get('/fail', 'connection: upgrade\r\nupgrade: echo\r\n'), '503'),
  ],
  ['finds no connection', ({ outbound }) => send(outbound, { path: '/gone' })],
  ['is tried twice at a time, until one answers', ({ outbound }) => send(outbound, { path: '/race' })],
  ['is tried twice at a time, until it takes too long', ({ outbound }) => send(outbound, { path: '/hold/race' })],
  ['is tried twice at a time, until its caller gives up', (ending) => giveUp(ending, get('/hold/patient-race'))],
  ['is copied, and the copy is answered', ({ outbound }) => send(outbound, { path: '/copied' })],
  ['is copied to where nobody is', ({ outbound }) => send(outbound, { path: '/copied/lost' })],
  ['is copied to what breaks', ({ outbound }) => send(outbound, { path: '/break/copied' })],
];

describe('a breaker counts nothing any more when a request', () => {
  it.each(endings)('%s', async (_how, run) => {
    const most = { requests: 100, pending: 100, connections: 100 };
    const at = (path: string, more: Partial<HttpRule> = {}, to = 'reviews') =>
      forwardTo(`shop/${to}`, 9080, {
        name: path.slice(1) || 'rest',
        matches: [{ path: { kind: 'prefix', value: path }, headers: [], query: [] }],
        circuitBreakers: [breaker({ requests: 100, pending: 100 })],
        retry: { attempts: 2, codes: [503], backoff: 1 },
        ...more,
      });
    const copy = (to: string) => ({ mirrors: [{ target: { service: `shop/${to}`, port: 9080 }, percent: 100 }] });
    const race = { hedging: { delay: 5 } };
    const rules = [
      at('/race', race, 'racers'),
      at('/hold/race', { ...race, timeouts: { request: 200 } }, 'racers'),
      at('/hold/patient-race', race, 'racers'),
      at('/hold/limited', { timeouts: { request: 40 } }),
      at('/hold/tries', { timeouts: { backendRequest: 20 } }),
      at('/copied/lost', copy('nowhere')),
      at('/copied', copy('copies')),
      at('/break/copied', copy('copies')),
      at('/gone', {}, 'nowhere'),
      at('/'),
    ];
    const moody = await startMoody();
    const { client, outbound } = await startPairTo(moody, { rules });
    const of = (name: string, ...ports: number[]) => {
      client.proxy.apply(
        [
          endpointsOf(
            name,
            9080,
            ports.map((port) => ({ port })),
          ),
        ],
        'endpoints',
        [],
      );
      client.proxy.apply([limited(service(name, 9080, 'http'), most)], 'service', []);
    };
    client.proxy.apply([limited(service('reviews', 9080, 'http', rules), most)], 'service', []);
    of('copies', moody);
    of('racers', moody, await startMoody());
    of('nowhere', await freePort());
    const counts = () => Object.entries(inUse(client)).filter(([name]) => !name.endsWith(' connections'));
    const seen: number[] = [];
    const begun = client.log.entries.length;

    await run({ outbound, client, busy: () => counts().some(([, count]) => count > 0) });
    await eventually(() => client.log.entries.length > begun);
    await eventually(() => {
      seen.push(...counts().map(([, count]) => count));
      return counts().every(([, count]) => count === 0);
    });
    expect(Math.min(...seen)).toBe(0);
    expect(counts().length).toBeGreaterThan(5);
  });
});
