import type { AccessPolicy } from './access.ts';
import type { CircuitBreaker } from './circuit-breaker.ts';
import type { FaultPolicy } from './fault.ts';
import type { HttpRule, RetryBudget, Timeouts, VirtualHost, WeightedBackend } from './http.ts';
import type { StatedLimits } from './limits.ts';
import type { Balancer } from './load-balancing.ts';
import type { OutlierDetection } from './outlier-detection.ts';
import type { RateLimitPolicy } from './rate-limit.ts';
import type { ObjectReference, QualifiedName } from './reference.ts';

/** What a port speaks. Declared, never guessed. */
export type Protocol = 'http' | 'http2' | 'grpc' | 'tcp';

/**
 * How a sidecar talks TLS to its own application, where that listens with nothing else. `unverified`: any certificate is
 * taken, as the connection never leaves the pod.
 */
export type AppTls = 'unverified';

/** What a TCPRoute, or a TLSRoute, does with a connection. */
export interface TcpRoute {
  readonly route: ObjectReference;
  /** Its connections are shared among these; a share without a target, and all where all weights are 0, is closed. */
  readonly backends: readonly TcpBackend[];
}

export type TcpBackend = Pick<WeightedBackend, 'target' | 'problem' | 'weight'>;

export interface TlsRoute extends TcpRoute {
  /** Lower-case host names; `*.example.com` matches any number of labels before. */
  readonly serverNames: readonly string[];
}

export interface ServicePort {
  readonly port: number;
  readonly name: string;
  readonly protocol: Protocol;
  /** What its applications want of their own sidecars; callers in other pods have no use for it. */
  readonly appTls?: AppTls;
  /**
   * Rules of the routes attached to this port, oldest route first. Empty: requests go to the service's own endpoints.
   * Where there are rules and none matches, the answer is 404 (GEP-1426).
   */
  readonly rules: readonly HttpRule[];
  /**
   * By namespace of the caller, the rules of routes that live there and are attached to this port (consumer routes,
   * GEP-1426). For callers of that namespace they stand in for {@link rules}.
   */
  readonly consumerRules?: Readonly<Record<string, readonly HttpRule[]>>;
  /** On a tcp port: where its connections go. Absent: to the service's own endpoints. */
  readonly tcpRoute?: TcpRoute;
  /** On a tcp port, by namespace of the caller: what stands in for {@link tcpRoute}, as {@link consumerRules} does. */
  readonly consumerTcpRoutes?: Readonly<Record<string, TcpRoute>>;
  /**
   * On a tcp port, oldest first: where connections go whose TLS handshake names one of these servers. Those that name
   * none of them go where {@link tcpRoute} says; where there is none, they are closed.
   */
  readonly tlsRoutes?: readonly TlsRoute[];
  /**
   * On a tcp port, by namespace of the caller: what stands in for {@link tlsRoutes}. Where a namespace has routes of
   * either kind, they stand in for those of both.
   */
  readonly consumerTlsRoutes?: Readonly<Record<string, readonly TlsRoute[]>>;
  /** Absent where there are none. */
  readonly faults?: readonly FaultPolicy[];
  /** What callers may have under way to its endpoints; absent where that is not limited. */
  readonly circuitBreaker?: CircuitBreaker;
  /** When callers leave an endpoint alone; absent where they never do. */
  readonly outlierDetection?: OutlierDetection;
  /** Limits of what is sent to it, where a rule does not state them; absent where there are none. */
  readonly timeouts?: Timeouts;
}

/** How clients reach a service. One discovery resource, named `namespace/name`. */
export interface Service {
  readonly kind: 'service';
  readonly name: QualifiedName;
  /** Lower-case host names that mean this service in the mesh: `reviews.shop`, `reviews.shop.svc.cluster.local` … */
  readonly hosts: readonly string[];
  /** Virtual addresses. */
  readonly addresses: readonly string[];
  readonly ports: readonly ServicePort[];
  readonly balancer: Balancer;
  /** Absent: {@link defaultRetryBudget}. */
  readonly retryBudget?: RetryBudget;
}

export interface Endpoint {
  readonly address: string;
  /** From the service's port number to the port to connect to. */
  readonly ports: Readonly<Record<string, number>>;
  /** The SPIFFE id its certificate must carry; absent means it is outside the mesh and speaks plain text. */
  readonly identity?: string;
  /** With an identity: ports, whether of a service or not, at which no proxy listens, and so plain text is spoken. */
  readonly plainPorts?: readonly number[];
  /** The workload it belongs to, as `namespace/name`. */
  readonly workload?: QualifiedName;
  /** The zone it runs in, where that is known. */
  readonly zone?: string;
  /** It is not for new requests, unless in a panic; but who asks for this very endpoint gets it. */
  readonly unready?: true;
}

/** Who must be at a port of an endpoint; `undefined` where it speaks plain text. */
export function identityAt({ identity, plainPorts }: Endpoint, port: number): string | undefined {
  return plainPorts?.includes(port) ? undefined : identity;
}

/**
 * The endpoints of a service; those that are not ready only where its balancer has a panic threshold, or where the
 * service is headless, so that each of them is called by itself. One discovery resource, named as its service.
 */
export interface Endpoints {
  readonly kind: 'endpoints';
  readonly name: QualifiedName;
  readonly endpoints: readonly Endpoint[];
}

/** Whether plain text from outside the mesh is accepted. */
export type MtlsMode = 'strict' | 'permissive';

export interface InboundPort {
  /** The container's port. */
  readonly port: number;
  readonly protocol: Protocol;
  /** Where it differs from the workload's. */
  readonly mtls?: MtlsMode;
  /** Plain text begins with a PROXY header (version 2), which names the client. */
  readonly proxyProtocol?: true;
  /** The application listens with TLS only; never on a tcp port. Absent: it takes plain text. */
  readonly appTls?: AppTls;
}

/** What is believed of callers without identity: the clients of a gateway, and who sends plain text. */
export interface StrangerSettings {
  /** Networks (`10.0.0.0/8`) of proxies outside the mesh, whose word on their own clients is passed on. */
  readonly trustedProxies?: readonly string[];
  /** Fields with `_` in their names pass gateways; they are removed where this is absent. */
  readonly underscores?: 'keep';
}

/** What the proxy beside a workload must do. One discovery resource, named `namespace/name`. */
export interface Workload {
  readonly kind: 'workload';
  readonly name: QualifiedName;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Those of its pods that run as another account, while one version replaces another; absent where there are none. */
  readonly otherServiceAccounts?: readonly string[];
  /** The service it is best known by in metrics; absent where no service selects it. */
  readonly service?: QualifiedName;
  /** The version label, where it has one. */
  readonly version?: string;
  /** The zone all of it runs in, where its pod template says so. */
  readonly zone?: string;
  readonly trustDomain: string;
  readonly mtls: MtlsMode;
  readonly ports: readonly InboundPort[];
  readonly access: readonly AccessPolicy[];
  /** Absent where there are none. */
  readonly rateLimits?: readonly RateLimitPolicy[];
  /** Absent where none is stated. */
  readonly limits?: StatedLimits;
  /** Absent where nothing of it is stated. */
  readonly strangers?: StrangerSettings;
  /** Services it may call; `all` where it declares nothing. */
  readonly calls: readonly QualifiedName[] | 'all';
  /** The gateway this workload is the proxy of. */
  readonly gateway?: QualifiedName;
}

export type GatewayListener = HttpListener | TlsListener;

interface ListenerCommon {
  readonly name: string;
  readonly port: number;
  /** Connections begin with a PROXY header (version 2), which names the client; the same for all that share a port. */
  readonly proxyProtocol?: true;
}

export interface HttpListener extends ListenerCommon {
  readonly protocol: 'http';
  readonly virtualHosts: readonly VirtualHost[];
}

/** Passes TLS on as it comes, by the server that the handshake names. */
export interface TlsListener extends ListenerCommon {
  readonly protocol: 'tls';
  /** Oldest first. Connections that name none of their servers are closed. */
  readonly tlsRoutes: readonly TlsRoute[];
}

/** What a gateway's proxy accepts. One discovery resource, named `namespace/name`. */
export interface Gateway {
  readonly kind: 'gateway';
  readonly name: QualifiedName;
  readonly listeners: readonly GatewayListener[];
}

/** Everything discovery carries. */
export type Resource = Service | Endpoints | Workload | Gateway;
export type ResourceKind = Resource['kind'];
export const resourceKinds: readonly ResourceKind[] = ['service', 'endpoints', 'workload', 'gateway'];
