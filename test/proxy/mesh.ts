import {
  createServer as createHttpServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { connect, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import type { PolicyStats } from '../../runtime/controller/index.ts';
import { Traffic } from '../../runtime/controller/telemetry/traffic.ts';
import { CertificateAuthority, createAuthoritySvidSource } from '../../runtime/identity/authority.ts';
import type { Svid } from '../../runtime/identity/index.ts';
import {
  type AccessPolicy,
  type AppTls,
  type Clock,
  type HttpRule,
  loopIdleTime,
  type Protocol,
  type Random,
  type RateLimitPolicy,
  type Resource,
  systemClock,
  type Workload,
} from '../../runtime/model/index.ts';
import { heldMemory } from '../../runtime/net/index.ts';
import {
  type Bootstrap,
  defaultProxyLimits,
  MeshProxy,
  type ProxyContext,
  type ProxyLimits,
  ProxyMetrics,
} from '../../runtime/proxy/index.ts';
import type { AccessLog, AccessLogEntry } from '../../runtime/telemetry/index.ts';
import { eventually } from '../support/eventually.ts';
import { listening } from '../support/listening.ts';
import { endpointsOf, identityOf, service, trustDomain } from './resources.ts';

const silent = { info() {}, warn() {} };

/** Below the ports that the kernel gives to outgoing connections, which would otherwise take one before its listener does. */
const firstPort = 10_000;
const ports = 22_000;
let nextPort = firstPort + Math.floor(Math.random() * ports);

export async function freePort(): Promise<number> {
  for (;;) {
    nextPort = nextPort < firstPort + ports ? nextPort + 1 : firstPort;
    const port = nextPort;
    const server = createTcpServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** Names one authority's certificates are made for. */
export async function createAuthority(domain = trustDomain, clock = systemClock): Promise<CertificateAuthority> {
  return CertificateAuthority.create({ trustDomain: domain, clock });
}

export async function svidOf(
  authority: CertificateAuthority,
  serviceAccount: string,
  clock = systemClock,
): Promise<Svid> {
  const id = { trustDomain: authority.trustDomain, namespace: 'shop', serviceAccount };
  const source = createAuthoritySvidSource({ authority, id, clock, random: Math.random, logger: silent });
  const svid = await source.start();
  source.close();
  return svid;
}

class MemoryLog implements AccessLog {
  readonly enabled = true;
  readonly entries: AccessLogEntry[] = [];
  log(entry: AccessLogEntry): void {
    this.entries.push(entry);
  }
  async flush(): Promise<void> {}
  async close(): Promise<void> {}
}

export interface RunningProxy {
  readonly proxy: MeshProxy;
  readonly log: MemoryLog;
  readonly metrics: ProxyMetrics;
}

const started: { close(): Promise<void> | void }[] = [];

/** Has {@link closeAll} call `close`. */
export function closeLater(close: () => Promise<void> | void): void {
  started.push({ close });
}

/** Closes everything the tests of a file started. */
export async function closeAll(): Promise<void> {
  for (const item of started.splice(0).reverse()) await item.close();
  // What is not given back would be refused to all others.
  await eventually(() => heldMemory.bytes === 0);
}

export interface ProxyOptions {
  readonly serviceAccount: string;
  readonly ports?: Workload['ports'];
  readonly access?: readonly AccessPolicy[];
  readonly rateLimits?: readonly RateLimitPolicy[];
  readonly mtls?: Workload['mtls'];
  readonly resources?: readonly Resource[];
  readonly bootstrap?: Partial<
    Pick<Bootstrap, 'trustDomain' | 'inbound' | 'outbound' | 'gateway' | 'zone' | 'transparent'>
  >;
  readonly gateway?: string;
  readonly limits?: Partial<ProxyLimits>;
  readonly strangers?: Workload['strangers'];
  readonly random?: Random;
  /** All time that passes where a clock is given: what the event loop of the test does then says nothing. */
  readonly idleTime?: () => number;
  /** System time where absent. */
  readonly clock?: Clock;
  readonly svid: Svid;
}

/** A proxy that knows nothing yet and listens nowhere, and what its parts read. */
export function createProxy(options: Omit<ProxyOptions, 'svid'>) {
  const { serviceAccount } = options;
  const log = new MemoryLog();
  const context: ProxyContext = {
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
    idleTime: options.idleTime ?? (options.clock ? () => options.clock!.now() : loopIdleTime),
    limits: { ...defaultProxyLimits, drainTimeout: 2_000, ...options.limits },
    metrics: new ProxyMetrics(),
    accessLog: log,
  };
  const bootstrap: Bootstrap = {
    id: `${serviceAccount}-0.shop`,
    namespace: 'shop',
    serviceAccount,
    workload: `shop/${serviceAccount}`,
    trustDomain,
    controller: { address: '127.0.0.1:1', bundle: 'unused' },
    tokenFile: '/unused',
    inbound: [],
    outbound: { services: [] },
    gateway: [],
    admin: '127.0.0.1:1',
    stateDir: '/unused',
    ...options.bootstrap,
  };
  return { proxy: new MeshProxy(bootstrap, context), bootstrap, context, log };
}

/** Starts the proxy of one workload, configured as if by a controller. */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const { proxy, bootstrap, context, log } = createProxy(options);
  const workload: Workload = {
    kind: 'workload',
    name: bootstrap.workload,
    namespace: 'shop',
    serviceAccount: options.serviceAccount,
    service: bootstrap.workload,
    trustDomain,
    mtls: options.mtls ?? 'strict',
    ports: options.ports ?? [],
    access: options.access ?? [],
    ...(options.rateLimits && { rateLimits: options.rateLimits }),
    ...(options.strangers && { strangers: options.strangers }),
    calls: 'all',
    ...(options.gateway && { gateway: options.gateway }),
  };
  for (const resource of [workload, ...(options.resources ?? [])]) {
    const findings = proxy.apply([resource], resource.kind, []);
    if (findings.length > 0) throw new Error(findings[0].message);
  }
  proxy.setSvid(options.svid);
  await proxy.listen();
  started.push({ close: () => proxy.drain() });
  return { proxy, log, metrics: context.metrics };
}

/** Has a server of any kind listen until {@link closeAll}, and tells its port. */
export async function startServer(server: Server): Promise<number> {
  const { port, close } = await listening(server);
  closeLater(close);
  return port;
}

/** An application on a free port, by Node's own HTTP server. */
export const startApp = (handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> =>
  startServer(createHttpServer(handler));

/** An application that is one raw socket after the other. */
export const startRawApp = (serve: (socket: Socket) => void): Promise<number> =>
  startServer(createTcpServer({ allowHalfOpen: true }, serve));

/** A TCP application that greets first, then echoes. */
export const startEcho = (greeting: string): Promise<number> =>
  startRawApp((socket) => {
    socket.write(greeting);
    socket.pipe(socket);
  });

/** Sees every byte between two proxies. */
export async function startWiretap(target: number) {
  const seen: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    const upstream = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
    for (const side of [socket, upstream]) {
      sockets.add(side);
      side.on('close', () => sockets.delete(side));
      side.on('error', () => {});
      side.on('data', (chunk) => seen.push(chunk as Buffer));
    }
    socket.pipe(upstream);
    upstream.pipe(socket);
    socket.on('close', () => upstream.destroy());
    upstream.on('close', () => socket.destroy());
  });
  return {
    port: await startServer(server),
    bytes: () => Buffer.concat(seen),
    /** Sockets that are open, two a connection. */
    get open() {
      return sockets.size;
    },
    /** Loses every byte from now on, as a machine does that was switched off. */
    freeze() {
      for (const socket of sockets) socket.unpipe().pause();
    },
  };
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly trailers: NodeJS.Dict<string>;
  readonly body: Buffer;
}

export interface PairOptions {
  readonly protocol?: Protocol;
  readonly rules?: readonly HttpRule[];
  readonly access?: readonly AccessPolicy[];
  readonly rateLimits?: readonly RateLimitPolicy[];
  readonly limits?: Partial<ProxyLimits>;
  readonly appTls?: AppTls;
  /** Of the caller's sidecar. */
  readonly clock?: Clock;
}

/** Two sidecars: `web` calls `reviews`, whose application listens on `appPort`, through both. */
export async function startPairTo(appPort: number, options: PairOptions = {}) {
  const { protocol = 'http', rules = [], access = [], rateLimits, limits = {}, appTls } = options;
  const authority = await createAuthority();
  const [inbound, outbound, proxyPort] = [await freePort(), await freePort(), await freePort()];
  const server = await startProxy({
    serviceAccount: 'reviews',
    svid: await svidOf(authority, 'reviews'),
    ports: [{ port: 9080, protocol, ...(appTls && { appTls }) }],
    access,
    rateLimits,
    limits,
    bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 9080, app: `127.0.0.1:${appPort}` }] },
  });
  const wire = await startWiretap(inbound);
  const client = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(authority, 'web'),
    limits,
    clock: options.clock,
    resources: [
      service('reviews', 9080, protocol, rules),
      endpointsOf('reviews', 9080, [{ port: wire.port, identity: identityOf('reviews') }]),
    ],
    bootstrap: {
      outbound: {
        proxy: `127.0.0.1:${proxyPort}`,
        services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }],
      },
    },
  });
  return { authority, server, client, outbound, proxyPort, wire };
}

/** Everything a socket says until it closes. */
export function readAll(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}

/** Waits until a socket has said `wanted`. */
export function readUntil(socket: Socket, wanted: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.includes(wanted)) resolve(text);
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`closed after ${JSON.stringify(text)}`)));
  });
}

/** One request by Node's own client. */
export function send(
  port: number,
  options: { method?: string; path?: string; headers?: Record<string, string>; body?: Buffer | string } = {},
): Promise<Reply> {
  const { method = 'GET', path = '/', headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          trailers: response.trailers,
          body: Buffer.concat(chunks),
        }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** What `stat` tells of policies, where this is the only proxy. */
export function policiesShown({ metrics }: RunningProxy): PolicyStats {
  const traffic = new Traffic();
  traffic.record('one', metrics.registry.expose(), 0);
  return traffic.policies();
}
