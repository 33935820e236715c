import { once } from 'node:events';
import { connect, createServer, type Http2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { AccessPolicy, HttpRule, Protocol, Service, Workload } from '../../runtime/model/index.ts';
import { opcode, openWebSocket, startWebSocketApp } from '../support/web-socket.ts';
import {
  closeAll,
  closeLater,
  createAuthority,
  freePort,
  type RunningProxy,
  send,
  startProxy,
  svidOf,
} from './mesh.ts';
import { endpointsOf, forwardTo, gatewayOf, identityOf, service } from './resources.ts';

afterEach(closeAll);

/** An application of HTTP/2 that repeats what it hears, as long as the stream is open. */
async function startParrot(): Promise<number> {
  const sessions = new Set<Http2Session>();
  const server = createServer().on('session', (session) => sessions.add(session));
  server.on('stream', (stream) => {
    stream.on('error', () => {}).respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.on('data', (chunk) => stream.write(chunk)).on('end', () => stream.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closeLater(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const path = (value: string): Partial<HttpRule> => ({
  matches: [{ path: { kind: 'prefix', value }, headers: [], query: [] }],
});

const usual = [
  forwardTo('shop/chat', 9080, { name: 'chat', ...path('/chat') }),
  forwardTo('shop/parrot', 9080, { name: 'parrot', ...path('/') }),
];

const edge = gatewayOf('edge', usual);

const reference = (kind: 'AccessPolicy' | 'CircuitBreakerPolicy' | 'OutlierDetectionPolicy', name: string) => ({
  kind,
  namespace: 'shop',
  name,
});

const allowing = (name: string, account = 'edge'): AccessPolicy => ({
  policy: reference('AccessPolicy', name),
  rules: [
    { name, action: 'allow', from: [{ kind: 'service-account', namespace: 'shop', name: account }], to: [] },
    { name: `${name}-no-trace`, action: 'deny', from: [], to: [{ methods: ['TRACE'], paths: [] }] },
  ],
});

interface Running {
  readonly gateway: RunningProxy;
  readonly sidecars: Readonly<Record<string, RunningProxy>>;
  readonly listen: number;
}

const protocols: Readonly<Record<string, Protocol>> = { chat: 'http', parrot: 'grpc' };

/** A gateway before two applications with sidecars. */
async function start(): Promise<Running> {
  const authority = await createAuthority();
  const chat = await startWebSocketApp();
  closeLater(() => chat.close());
  const apps: Record<string, number> = { chat: chat.port, parrot: await startParrot() };
  const sidecars: Record<string, RunningProxy> = {};
  const endpoints = [];
  for (const [name, app] of Object.entries(apps)) {
    const inbound = await freePort();
    sidecars[name] = await startProxy({
      serviceAccount: name,
      svid: await svidOf(authority, name),
      ports: [{ port: 9080, protocol: protocols[name] }],
      access: [allowing('first')],
      bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 9080, app: `127.0.0.1:${app}` }] },
    });
    endpoints.push(endpointsOf(name, 9080, [{ port: inbound, identity: identityOf(name) }]));
  }
  const listen = await freePort();
  const services = Object.entries(protocols).map(([name, protocol]) => service(name, 9080, protocol));
  const gateway = await startProxy({
    serviceAccount: 'edge',
    svid: await svidOf(authority, 'edge'),
    gateway: 'shop/edge',
    resources: [...services, ...endpoints, edge],
    bootstrap: { gateway: [{ listen: `127.0.0.1:${listen}`, port: 80 }] },
  });
  return { gateway, sidecars, listen };
}

const applyServices = ({ gateway }: Running, change: (of: Service) => Service) => {
  const services = Object.entries(protocols).map(([name, protocol]) => change(service(name, 9080, protocol)));
  expect(gateway.proxy.apply(services, 'service', [])).toEqual([]);
};

const applyPort = (running: Running, change: Partial<Service['ports'][number]>) =>
  applyServices(running, (of) => ({ ...of, ports: of.ports.map((port) => ({ ...port, ...change })) }));

const applyWorkloads = ({ sidecars }: Running, change: Partial<Workload>) => {
  for (const { proxy } of Object.values(sidecars)) {
    const workload = proxy.resources.find(({ kind }) => kind === 'workload') as Workload;
    expect(proxy.apply([{ ...workload, ...change }], 'workload', [])).toEqual([]);
  }
};

const swaps: Readonly<Record<string, (running: Running, round: number) => void>> = {
  'circuit breakers': (running, round) =>
    applyPort(
      running,
      round % 2
        ? {}
        : {
            circuitBreaker: {
              policy: reference('CircuitBreakerPolicy', `limits-${round}`),
              limits: { requests: 1 + round, connections: 1, pending: 1 },
            },
          },
    ),
  'outlier detection': (running, round) =>
    applyPort(
      running,
      round % 2
        ? {}
        : {
            outlierDetection: {
              policy: reference('OutlierDetectionPolicy', `outliers-${round}`),
              consecutiveErrors: 1 + round,
              baseEjectionTime: 1000,
              maxEjectionTime: 10_000,
              maxEjectionPercent: 100,
            },
          },
    ),
  'limits of time': (running, round) =>
    applyPort(running, round % 2 ? {} : { timeouts: { request: 1, streamIdle: 1 + round, maxStreamDuration: 1 } }),
  'load balancing': (running, round) =>
    applyServices(running, (of) => ({ ...of, balancer: { kind: round % 2 ? 'peak-ewma' : 'round-robin' } })),
  'access policies that allow it yet': (running, round) =>
    applyWorkloads(running, {
      access: round % 2 ? [allowing(`access-${round}`)] : [allowing('other', 'other'), allowing(`access-${round}`)],
    }),
  'no access policy': (running) => applyWorkloads(running, { access: [] }),
  'stated limits': (running, round) =>
    applyWorkloads(running, { limits: { tcpIdleTimeout: 1000 + round, maxActiveRequests: 1, maxHeaders: 10 + round } }),
  'routes of the gateway': ({ gateway }, round) => {
    const rules = round % 2 ? usual : [forwardTo('shop/parrot', 9080, { name: `all-${round}` })];
    expect(gateway.proxy.apply([gatewayOf('edge', rules)], 'gateway', [])).toEqual([]);
  },
  'listeners of the gateway': ({ gateway }, round) => {
    const names = round % 2 ? ['http'] : ['http', 'more', 'most'];
    const listeners = names.map((name, index) => ({ ...edge.listeners[0], name, port: 80 + index }));
    expect(gateway.proxy.apply([{ ...edge, listeners }], 'gateway', [])).toEqual([]);
  },
};

describe('streams through a gateway and two sidecars', () => {
  it.each(Object.keys(swaps))('go on while these change: %s', async (what) => {
    const running = await start();
    const { peer } = await openWebSocket(running.listen, '/chat');
    const session = connect(`http://127.0.0.1:${running.listen}`).on('error', () => {});
    closeLater(() => session.destroy());
    const stream = session.request({ ':method': 'POST', ':path': '/talk', 'content-type': 'application/grpc' });
    stream.on('error', () => {}).setEncoding('utf8');
    await once(stream, 'response');
    for (let round = 0; round < 40; round++) {
      swaps[what](running, round);
      peer.send(opcode.text, `round ${round}`);
      stream.write(`round ${round}`);
      const [frame, [heard]] = await Promise.all([peer.next(), once(stream, 'data')]);
      expect([frame.payload.toString(), heard]).toEqual([`round ${round}`, `round ${round}`]);
    }
    stream.end();
    await once(stream.resume(), 'end');
    peer.close(1000);
    expect((await peer.next()).opcode).toBe(opcode.close);
    peer.stream.destroy();
  });

  it('would not be let in any more by what has changed meanwhile', async () => {
    const running = await start();
    const { peer } = await openWebSocket(running.listen, '/chat');
    applyWorkloads(running, { access: [allowing('other', 'other')] });
    expect((await send(running.listen, { path: '/chat' })).status).toBe(403);
    peer.send(opcode.text, 'still here');
    expect((await peer.next()).payload.toString()).toBe('still here');
    peer.stream.destroy();
  });
});
