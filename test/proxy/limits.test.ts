import type { ServerResponse } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  type Clock,
  type Protocol,
  type ProxyLimitName,
  proxyLimitNames,
  proxyLimits,
  type StatedLimits,
  type Workload,
} from '../../runtime/model/index.ts';
import { defaultProxyLimits, type ProxyLimits } from '../../runtime/proxy/index.ts';
import { parseObject } from '../../runtime/resources/index.ts';
import { translate } from '../../runtime/translate/index.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import {
  closeAll,
  closeLater,
  createAuthority,
  createProxy,
  freePort,
  readUntil,
  send,
  startApp,
  startEcho,
  startProxy,
  svidOf,
} from './mesh.ts';
import { endpointsOf, identityOf, service } from './resources.ts';

afterEach(closeAll);

const minutes = 60_000;

/** What the controller makes of the Mesh of a namespace that states this. */
function workloadUnder(limits: Readonly<Record<string, unknown>>): Workload {
  const given = [
    { apiVersion: 'meshwright.dev/v1alpha1', kind: 'Mesh', metadata: { name: 'default' }, spec: { limits } },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web', labels: { 'meshwright.dev/proxy': 'sidecar' } },
      spec: { containers: [] },
    },
  ].map((object) => ({ ...object, metadata: { ...object.metadata, namespace: 'shop' } }));
  const objects = given.map((each) => parseObject(each, 'test').object!);
  const workload = translate(objects).resources.find(({ kind }) => kind === 'workload');
  if (workload?.kind !== 'workload') throw new Error('there is no workload');
  return workload;
}

/** Each bound, under its name in the Mesh. */
function byName({ http, http2, peerKeepalive, ...rest }: ProxyLimits): Record<ProxyLimitName, number> {
  const { interval: peerKeepaliveInterval, timeout: peerKeepaliveTimeout } = peerKeepalive;
  return { ...rest, ...http, ...http2, peerKeepaliveInterval, peerKeepaliveTimeout };
}

const defaults = Object.fromEntries(proxyLimitNames.map((name) => [name, proxyLimits[name].default]));

describe('limits that a Mesh states', () => {
  it('are the default where none is', () => {
    const { proxy, context } = createProxy({ serviceAccount: 'web', limits: defaultProxyLimits });
    proxy.apply([workloadUnder({})], 'workload', []);
    expect(byName(context.limits)).toEqual(defaults);
  });

  it.each(proxyLimitNames)('arrive in the proxy, and leave it: %s', (name) => {
    const { proxy, context } = createProxy({ serviceAccount: 'web', limits: defaultProxyLimits });
    const { unit, least } = proxyLimits[name];
    expect(least).not.toBe(defaults[name]);
    proxy.apply([workloadUnder({ [name]: unit === 'milliseconds' ? `${least}ms` : least })], 'workload', []);
    expect(byName(context.limits)).toEqual({ ...defaults, [name]: least });
    proxy.apply([workloadUnder({})], 'workload', []);
    expect(byName(context.limits)).toEqual(defaults);
  });
});

interface Given {
  readonly protocol?: Protocol;
  readonly clock?: Clock;
  readonly identity?: string;
  readonly stated?: StatedLimits;
}

/** The sidecar of a caller; its service is reached without a second hop. */
async function startOutbound(appPort: number, { protocol = 'http', clock, identity, stated }: Given = {}) {
  const port = await freePort();
  const { proxy } = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(await createAuthority(), 'web'),
    clock,
    resources: [
      service('reviews', 9080, protocol),
      endpointsOf('reviews', 9080, [{ port: appPort, ...(identity && { identity }) }]),
    ],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${port}`, service: 'shop/reviews', port: 9080 }] } },
  });
  const state = (limits?: StatedLimits) => {
    const workload = proxy.resources.find(({ kind }) => kind === 'workload') as Workload;
    proxy.apply([{ ...workload, limits }], 'workload', []);
  };
  state(stated);
  return { port, state };
}

/** An application that answers when it is told to. */
async function startHolding() {
  const held: ServerResponse[] = [];
  const sockets = new Set<unknown>();
  const app = await startApp((request, response) => {
    sockets.add(request.socket);
    held.push(response);
  });
  return { app, held, sockets, release: () => held.shift()!.end() };
}

/** An application of HTTP/2 that takes one request at a time on a connection, and answers when it is told to. */
async function startNarrow() {
  const sessions = new Set<unknown>();
  const held: (() => void)[] = [];
  const server = createHttp2Server({ settings: { maxConcurrentStreams: 1 } }, ({ stream }) => {
    if (stream.session) sessions.add(stream.session);
    held.push(() => {
      stream.respond({ ':status': 200 });
      stream.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closeLater(() => {
    for (const session of sessions) (session as ClientHttp2Session).destroy();
    server.close();
  });
  return { app: (server.address() as AddressInfo).port, sessions, held, release: () => held.shift()!() };
}

function clientOf(port: number): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  closeLater(() => session.destroy());
  return session;
}

async function call(session: ClientHttp2Session): Promise<number | undefined> {
  const stream = session.request({ ':path': '/' }).on('error', () => {});
  const status = await new Promise<number | undefined>((resolve) =>
    stream.on('response', (headers) => resolve(headers[':status'])).on('close', () => resolve(undefined)),
  );
  stream.close();
  return status;
}

describe('requests for one endpoint', () => {
  it('wait for a connection as long as maxPending allows; one more gets 503', async () => {
    const { app, held, release } = await startHolding();
    const { port, state } = await startOutbound(app, { stated: { maxHttp1Connections: 1, maxPending: 2 } });
    const replies = [send(port)];
    await eventually(() => held.length === 1);
    const [first, second] = [send(port), send(port)];
    // Which of three comes last is not known.
    const third = send(port);
    const refused = await Promise.race([first, second, third]);
    expect(refused.status).toBe(503);
    expect(refused.body.toString()).toContain('2 requests wait already');

    state({ maxHttp1Connections: 1, maxPending: 3 });
    replies.push(first, second, third, send(port));
    for (let each = 0; each < 4; each++) {
      await eventually(() => held.length === 1);
      release();
    }
    const statuses = (await Promise.all(replies)).map(({ status }) => status);
    expect(statuses.toSorted()).toEqual([200, 200, 200, 200, 503]);
  });

  it('take as many connections of HTTP/1.1 as maxHttp1Connections allows', async () => {
    const { app, held, sockets, release } = await startHolding();
    const { port, state } = await startOutbound(app, { stated: { maxHttp1Connections: 2 } });
    const replies = Array.from({ length: 5 }, () => send(port));
    for (let each = 0; each < 3; each++) {
      await eventually(() => held.length === 2);
      release();
    }
    await eventually(() => held.length === 2);
    expect(sockets.size).toBe(2);
    state({ maxHttp1Connections: 3 });
    replies.push(send(port));
    await eventually(() => held.length === 3);
    expect(sockets.size).toBe(3);
    for (let each = 0; each < 3; each++) release();
    expect((await Promise.all(replies)).map(({ status }) => status)).toEqual(replies.map(() => 200));
  });

  it('take as many connections of HTTP/2 as maxHttp2Connections allows', async () => {
    const { app, held, sessions, release } = await startNarrow();
    const { port, state } = await startOutbound(app, { protocol: 'http2', stated: { maxHttp2Connections: 2 } });
    const session = clientOf(port);
    const warm = call(session);
    await eventually(() => held.length === 1);
    release();
    await warm;
    const replies = Array.from({ length: 5 }, () => call(session));
    for (let each = 0; each < 3; each++) {
      await eventually(() => held.length === 2);
      release();
    }
    await eventually(() => held.length === 2);
    expect(sessions.size).toBe(2);
    state({ maxHttp2Connections: 3 });
    replies.push(call(session));
    await eventually(() => held.length === 3);
    expect(sessions.size).toBe(3);
    for (let each = 0; each < 3; each++) release();
    expect(await Promise.all(replies)).toEqual(replies.map(() => 200));
  });

  it('find it gone when no connection can be made within connectTimeout', async () => {
    let connections = 0;
    // Takes connections and says nothing: no handshake is ever through.
    const silent = createTcpServer((socket) => {
      connections++;
      socket.on('error', () => {}).resume();
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    closeLater(() => {
      silent.close();
    });
    const clock = new ManualClock();
    const { port } = await startOutbound((silent.address() as AddressInfo).port, {
      clock,
      identity: identityOf('reviews'),
      stated: { connectTimeout: 100 },
    });
    let status: number | undefined;
    const reply = send(port).then((answer) => {
      status = answer.status;
    });
    await eventually(() => connections === 1);
    clock.advance(99);
    expect(connections).toBe(1);
    await eventually(() => {
      if (status === undefined) clock.advance(1);
      return status !== undefined;
    });
    await reply;
    expect(status).toBe(503);
    // Nothing was processed, so it was tried again, each time for so long.
    expect([connections, clock.now() >= 300]).toEqual([3, true]);
  });
});

describe('connections that are idle', () => {
  it('are kept for idleTimeout, lower or higher than before, also to endpoints that are known', async () => {
    const clock = new ManualClock();
    const sockets = new Set<unknown>();
    const app = await startApp((request, response) => {
      sockets.add(request.socket);
      // Says nothing of how long it keeps them.
      response.setHeader('connection', 'keep-alive').end();
    });
    const { port, state } = await startOutbound(app, { clock, stated: { idleTimeout: 10 * minutes } });
    const connectionsAfter = async (idle: number) => {
      clock.advance(idle);
      expect((await send(port)).status).toBe(200);
      return sockets.size;
    };
    expect(await connectionsAfter(0)).toBe(1);
    expect(await connectionsAfter(9 * minutes)).toBe(1);
    expect(await connectionsAfter(11 * minutes)).toBe(2);
    state({ idleTimeout: 120 * minutes });
    // What is open keeps what it was given; the next one has more.
    expect(await connectionsAfter(11 * minutes)).toBe(3);
    expect(await connectionsAfter(119 * minutes)).toBe(3);
    state({ idleTimeout: 5 * minutes });
    expect(await connectionsAfter(121 * minutes)).toBe(4);
    expect(await connectionsAfter(6 * minutes)).toBe(5);
  });

  it('are kept for tcpIdleTimeout where they are streams of TCP', async () => {
    const clock = new ManualClock();
    const { port } = await startOutbound(await startEcho('READY\n'), {
      protocol: 'tcp',
      clock,
      stated: { tcpIdleTimeout: 1000 },
    });
    const socket = connect(port, '127.0.0.1');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await readUntil(socket, 'READY\n');
    for (let each = 0; each < 4; each++) {
      clock.advance(900);
      socket.write('ping');
      await readUntil(socket, 'ping');
    }
    expect(socket.destroyed).toBe(false);
    clock.advance(2000);
    await closed;
  });
});

describe('a connection of HTTP/2', () => {
  it('is told what is stated when it begins', async () => {
    const app = await startApp((_, response) => response.end());
    const { port, state } = await startOutbound(app, { protocol: 'http2' });
    const told = async () => {
      const session = clientOf(port);
      await new Promise((resolve) => session.once('remoteSettings', resolve));
      await eventually(() => (session.state.remoteWindowSize ?? 0) > 65_535);
      const { maxConcurrentStreams, initialWindowSize, maxHeaderListSize } = session.remoteSettings;
      return [maxConcurrentStreams, initialWindowSize, maxHeaderListSize, session.state.remoteWindowSize];
    };
    const { maxConcurrentStreams, streamWindow, maxHeadBytes, connectionWindow } = proxyLimits;
    expect(await told()).toEqual(
      [maxConcurrentStreams, streamWindow, maxHeadBytes, connectionWindow].map((limit) => limit.default),
    );
    state({ maxConcurrentStreams: 7, streamWindow: 100_000, maxHeadBytes: 2048, connectionWindow: 200_000 });
    expect(await told()).toEqual([7, 100_000, 2048, 200_000]);
  });
});
