import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { CertificateAuthority } from '../../runtime/identity/authority.ts';
import { frame, type as frameType, openRequest, preface, RawPeer } from '../net/http2/frames.ts';
import { openSocket } from '../net/http2/support.ts';
import { eventually } from '../support/eventually.ts';
import { SteadyLoad } from '../support/steady-load.ts';
import { opcode, openWebSocket, startWebSocketApp } from '../support/web-socket.ts';
import { closeAll, closeLater, createAuthority, freePort, send, startApp, startProxy, svidOf } from './mesh.ts';
import { endpointsOf, forwardTo, gatewayOf, identityOf, service } from './resources.ts';

afterEach(closeAll);

/** An application that counts what it is told: each request has a name. */
async function startCounting() {
  const heard = new Map<string, number>();
  const port = await startApp((request, response) => {
    const name = request.url ?? '';
    heard.set(name, (heard.get(name) ?? 0) + 1);
    request.resume().on('end', () => response.writeHead(201).end('counted'));
  });
  /** Names heard another number of times than once, of those from 0 to `sent`. */
  const notOnce = (sent: number) =>
    Array.from({ length: sent }, (_, id) => `/${id}`).filter((name) => heard.get(name) !== 1);
  return { port, heard, notOnce };
}

async function startSidecar(authority: CertificateAuthority, app: number) {
  const listen = await freePort();
  const { proxy } = await startProxy({
    serviceAccount: 'reviews',
    svid: await svidOf(authority, 'reviews'),
    ports: [{ port: 9080, protocol: 'http' }],
    bootstrap: { inbound: [{ listen: `127.0.0.1:${listen}`, port: 9080, app: `127.0.0.1:${app}` }] },
  });
  return { proxy, listen };
}

/** What a caller knows of where the service is. */
const at = (...ports: number[]) =>
  endpointsOf(
    'reviews',
    9080,
    ports.map((port) => ({ port, identity: identityOf('reviews') })),
  );

/** Restarts follow each other here faster than the budget for retries of so few requests would allow. */
const reviews = {
  ...service('reviews', 9080, 'http'),
  retryBudget: { percent: 100, interval: 10_000, minRetryRate: { count: 1000, interval: 1000 } },
};

async function startCaller(authority: CertificateAuthority, ...ports: number[]) {
  const listen = await freePort();
  const { proxy } = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(authority, 'web'),
    resources: [reviews, at(...ports)],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${listen}`, service: 'shop/reviews', port: 9080 }] } },
  });
  return { proxy, listen };
}

async function startGateway(authority: CertificateAuthority, ...ports: number[]) {
  const listen = await freePort();
  const { proxy } = await startProxy({
    serviceAccount: 'edge',
    svid: await svidOf(authority, 'edge'),
    gateway: 'shop/edge',
    resources: [reviews, at(...ports), gatewayOf('edge', [forwardTo('shop/reviews', 9080)])],
    bootstrap: { gateway: [{ listen: `127.0.0.1:${listen}`, port: 80 }] },
  });
  return { proxy, listen };
}

/** Posts, which nobody may repeat, on connections that are kept; each to where `target` says when it is made. */
function poster(target: () => number) {
  const agent = new Agent({ keepAlive: true });
  agent.createConnection = () => connect({ port: target(), host: '127.0.0.1', noDelay: true });
  closeLater(() => agent.destroy());
  return (id: number) =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const request = httpRequest({ host: '127.0.0.1', method: 'POST', path: `/${id}`, agent }, (response) => {
        let body = '';
        response.on('data', (chunk) => {
          body += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      });
      request.on('error', reject).end(`order ${id}`);
    });
}

const rounds = 12;

describe('posts, each of which arrives once', () => {
  it('while one of two sidecars of the called restarts', async () => {
    const authority = await createAuthority();
    const app = await startCounting();
    const pods = [await startSidecar(authority, app.port), await startSidecar(authority, app.port)];
    const caller = await startCaller(authority, ...pods.map(({ listen }) => listen));
    const load = new SteadyLoad(
      8,
      poster(() => caller.listen),
      { expected: 201 },
    );
    await load.more(50);
    for (let round = 0; round < rounds; round++) {
      // Callers hear of it when it is over: meanwhile they meet a proxy that goes, and then a closed port.
      await pods[round % 2].proxy.drain();
      await load.more(20);
      pods[round % 2] = await startSidecar(authority, app.port);
      caller.proxy.apply([at(...pods.map(({ listen }) => listen))], 'endpoints', []);
      await load.more(20);
    }
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(app.notOnce(load.sent)).toEqual([]);
    expect(app.heard.size).toBe(load.sent);
  });

  it('while gateways restart, of which clients are led to another one first', async () => {
    const authority = await createAuthority();
    const app = await startCounting();
    const pod = await startSidecar(authority, app.port);
    let gateway = await startGateway(authority, pod.listen);
    const load = new SteadyLoad(
      8,
      poster(() => gateway.listen),
      { expected: 201 },
    );
    await load.more(50);
    for (let round = 0; round < rounds; round++) {
      const old = gateway;
      gateway = await startGateway(authority, pod.listen);
      await load.more(20);
      await old.proxy.drain();
      await load.more(20);
    }
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(app.notOnce(load.sent)).toEqual([]);
  });
});

describe('a post that waits for a connection to an endpoint that goes', () => {
  it('is sent to the one that has come in its place', async () => {
    const authority = await createAuthority();
    const app = await startCounting();
    let connections = 0;
    const silent = createTcpServer((socket) => {
      connections++;
      closeLater(() => {
        socket.destroy();
      });
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    closeLater(() => {
      silent.close();
    });
    const caller = await startCaller(authority, (silent.address() as AddressInfo).port);
    const post = poster(() => caller.listen);
    const answers = [post(0), post(1)];
    await eventually(() => connections > 0);
    const pod = await startSidecar(authority, app.port);
    caller.proxy.apply([at(pod.listen)], 'endpoints', []);
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([201, 201]);
    expect(app.notOnce(2)).toEqual([]);
  });
});

describe('a sidecar that drains', () => {
  /** A proxy with both directions, whose application answers as `app` says, and the port of a caller. */
  async function startBoth(app: (outbound: number, request: IncomingMessage, response: ServerResponse) => void) {
    const authority = await createAuthority();
    const ratings = await startApp((request, response) => {
      request.resume().on('end', () => response.end('stars'));
    });
    const pod = await startSidecar(authority, ratings);
    const [inbound, outbound, caller] = [await freePort(), await freePort(), await freePort()];
    const port = await startApp((request, response) => app(outbound, request, response));
    const { proxy } = await startProxy({
      serviceAccount: 'web',
      svid: await svidOf(authority, 'web'),
      ports: [{ port: 80, protocol: 'http' }],
      resources: [reviews, at(pod.listen)],
      bootstrap: {
        inbound: [{ listen: `127.0.0.1:${inbound}`, port: 80, app: `127.0.0.1:${port}` }],
        outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }] },
      },
    });
    await startProxy({
      serviceAccount: 'edge',
      svid: await svidOf(authority, 'edge'),
      resources: [service('web', 80, 'http'), endpointsOf('web', 80, [{ port: inbound, identity: identityOf('web') }])],
      bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${caller}`, service: 'shop/web', port: 80 }] } },
    });
    return { proxy, outbound, caller };
  }

  it('takes the calls that its application needs to finish what it has begun', async () => {
    const begun: (() => void)[] = [];
    const { proxy, outbound, caller } = await startBoth(async (calls, _request, response) => {
      const first = await send(calls);
      await new Promise<void>((resolve) => begun.push(resolve));
      const second = await send(calls);
      response.end(`${first.body} and ${second.body}`);
    });
    const page = send(caller);
    await eventually(() => begun.length === 1);
    const drained = proxy.drain();
    await new Promise((resolve) => setImmediate(resolve));
    begun[0]();
    const { status, body } = await page;
    expect([status, body.toString()]).toEqual([200, 'stars and stars']);
    await drained;
    await expect(send(outbound)).rejects.toThrow('ECONNREFUSED');
  });

  it('lets its application finish its calls in time, though what that has begun does not end', async () => {
    let begun = false;
    const { proxy, outbound, caller } = await startBoth(() => {
      begun = true;
    });
    const endless = send(caller);
    await eventually(() => begun);
    const peer = new RawPeer(await openSocket(outbound));
    closeLater(() => {
      peer.socket.destroy();
    });
    peer.send(preface, frame(frameType.settings, 0, 0), openRequest(1));
    await peer.receive(frameType.settings);
    const drained = proxy.drain();
    await peer.receive(frameType.goAway);
    // It takes its time.
    await new Promise((resolve) => setTimeout(resolve, 50));
    peer.send(frame(frameType.data, 1, 1));
    await peer.receive(frameType.headers, 1);
    await drained;
    expect((await endless).status).toBe(503);
  });
});

describe('a WebSocket', () => {
  it('goes on while all other replicas restart, and the controller tells of each', async () => {
    const authority = await createAuthority();
    const app = await startWebSocketApp();
    closeLater(() => app.close());
    const own = await startSidecar(authority, app.port);
    const caller = await startCaller(authority, own.listen);
    const { peer } = await openWebSocket(caller.listen, '/chat');
    let other = await startSidecar(authority, app.port);
    for (let round = 0; round < rounds; round++) {
      caller.proxy.apply([at(own.listen, other.listen)], 'endpoints', []);
      await other.proxy.drain();
      caller.proxy.apply([at(own.listen)], 'endpoints', []);
      other = await startSidecar(authority, app.port);
      peer.send(opcode.text, `round ${round}`);
      expect((await peer.next()).payload.toString()).toBe(`round ${round}`);
    }
    expect(peer.ended).toBe(false);
    peer.stream.destroy();
  });
});

it('answers a client who began to speak HTTP/2 before the drain, and tells it to go', async () => {
  const authority = await createAuthority();
  const app = await startCounting();
  const pod = await startSidecar(authority, app.port);
  const caller = await startCaller(authority, pod.listen);
  const peer = new RawPeer(await openSocket(caller.listen));
  closeLater(() => {
    peer.socket.destroy();
  });
  peer.send(preface.subarray(0, 4));
  // Until what came so far has been read.
  expect((await send(caller.listen)).status).toBe(201);
  const gone = caller.proxy.drain();
  peer.send(preface.subarray(4), frame(frameType.settings, 0, 0), openRequest(1));
  await peer.receive(frameType.goAway);
  peer.send(frame(frameType.data, 1, 1));
  await peer.receive(frameType.headers, 1);
  await gone;
  expect(peer.ended).toBe(true);
});
