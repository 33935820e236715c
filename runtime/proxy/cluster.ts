import { isDeepStrictEqual } from 'node:util';
import {
  type Breaker,
  compileKey,
  createBalancer,
  createRetryBudget,
  type Ejection,
  type EndpointState,
  type HttpRequest,
  type KeyReader,
  type LoadBalancer,
  type RetryAllowance,
  sessionCookie,
} from '../engine/index.ts';
import {
  type AppTls,
  type BackendTarget,
  type Balancer,
  defaultBalancer,
  describeReference,
  type Endpoint,
  formatHostPort,
  identityAt,
  type OutlierDetection,
  type Protocol,
  type QualifiedName,
  type RetryBudget,
} from '../model/index.ts';
import type { ConnectionPool } from '../net/index.ts';
import type { ProxyContext, Upstream } from './exchange-plan.ts';
import type { MeshView, MeshViewObserver } from './mesh-view.ts';
import type { PeerAddress } from './peer-link.ts';
import type { ConnectionGate, Pools } from './pools.ts';

interface Member {
  readonly upstream: Upstream;
  readonly peer: PeerAddress;
  readonly pool: ConnectionPool;
}

/** How a port of a service is served. */
export interface ClusterSettings {
  readonly balancer: Balancer;
  /** Absent: no endpoint is ever left alone. */
  readonly outlierDetection: OutlierDetection | undefined;
  readonly protocol: Protocol;
  /** What the application of this pod wants where it is one of the endpoints. */
  readonly appTls: AppTls | undefined;
  /** Where this proxy runs, if that is known. */
  readonly zone: string | undefined;
  /** Absent: that of every service. */
  readonly retryBudget: RetryBudget | undefined;
}

/** The endpoints behind one port of a service, balanced, each with its pool. Lives as long as the proxy. */
export class Cluster {
  /** Of the requests that this proxy sends there. */
  budget: RetryAllowance;
  readonly #self: ProxyPlace;
  readonly #context: ProxyContext;
  readonly #pools: Pools;
  readonly #target: BackendTarget;
  #settings: ClusterSettings;
  #balancer: LoadBalancer;
  #readKey: KeyReader | undefined;
  #endpoints: readonly Endpoint[] = [];
  #members = new Map<EndpointState, Member>();
  #mtls = false;
  #breaker: Breaker | undefined;

  constructor(
    context: ProxyContext,
    pools: Pools,
    self: ProxyPlace,
    target: BackendTarget,
    settings: ClusterSettings,
    breaker: Breaker | undefined,
  ) {
    this.budget = createRetryBudget(context.clock, settings.retryBudget);
    this.#self = self;
    this.#context = context;
    this.#pools = pools;
    this.#target = target;
    this.#settings = settings;
    this.#balancer = this.#createBalancer(settings);
    this.#readKey = compileKey(settings.balancer);
    this.#limitBy(breaker);
  }

  get target(): BackendTarget {
    return this.#target;
  }

  /** Limits all that goes to its endpoints; almost always absent. */
  get breaker(): Breaker | undefined {
    return this.#breaker;
  }

  /** The endpoints that are left alone as they fail. */
  get ejections(): readonly Ejection[] {
    return this.#balancer.ejections;
  }

  get detectsOutliers(): boolean {
    return this.#settings.outlierDetection !== undefined;
  }

  /** How many endpoints there are to choose from, ejected ones included. */
  get size(): number {
    return this.#balancer.endpoints.length;
  }

  /** Why there is nothing to pick, though there are endpoints. */
  get outage(): string | undefined {
    const { outlierDetection } = this.#settings;
    const out = this.#balancer.ejections.length;
    if (!outlierDetection || out === 0) return undefined;
    return `all its endpoints (${out}) are ejected, as ${describeReference(outlierDetection.policy)} says`;
  }

  /** Whether there are endpoints and all of them are reached by mutual TLS. */
  get mtls(): boolean {
    return this.#mtls;
  }

  configure(settings: ClusterSettings, breaker: Breaker | undefined): void {
    this.#limitBy(breaker);
    const { retryBudget, ...rest } = settings;
    const { retryBudget: formerBudget, ...formerRest } = this.#settings;
    if (!isDeepStrictEqual(retryBudget, formerBudget)) {
      this.budget = createRetryBudget(this.#context.clock, retryBudget);
    }
    if (isDeepStrictEqual(rest, formerRest)) {
      this.#settings = settings;
      return;
    }
    const former = { members: this.#members, protocol: this.#settings.protocol };
    this.#settings = settings;
    this.#balancer = this.#createBalancer(settings);
    this.#readKey = compileKey(settings.balancer);
    this.#members = new Map();
    this.update(this.#endpoints);
    for (const { peer } of former.members.values()) this.#pools.release(peer, former.protocol, this.#mayConnect);
  }

  update(endpoints: readonly Endpoint[]): void {
    this.#endpoints = endpoints;
    const usable = endpoints.filter(({ ports }) => ports[this.#target.port] !== undefined);
    this.#balancer.update(usable);
    const chosenFrom = this.#balancer.endpoints;
    this.#mtls = chosenFrom.length > 0 && chosenFrom.every(({ endpoint }) => this.#identityOf(endpoint) !== undefined);
    const members = new Map<EndpointState, Member>();
    for (const state of chosenFrom) {
      members.set(state, this.#members.get(state) ?? this.#join(state));
    }
    const former = this.#members;
    this.#members = members;
    // Requests that wait for one that has gone are sent to another one at once.
    for (const [state, { peer }] of former) {
      if (!members.has(state)) this.#pools.release(peer, this.#settings.protocol, this.#mayConnect);
    }
  }

  /** What {@link pick} wants to know of a request. At a gateway the `client` is its source, not the gateway itself. */
  keyOf(request: HttpRequest, client: string | undefined): string | undefined {
    return this.#readKey?.(request, client === undefined ? this.#self.identity : withoutPort(client));
  }

  /** Prefers endpoints that were not tried; takes a tried one rather than none. */
  pick(tried: ReadonlySet<EndpointState> | undefined, key?: string): Upstream | undefined {
    const state = this.#balancer.pick(tried, key) ?? (tried && this.#balancer.pick(undefined, key));
    return state && this.#members.get(state)?.upstream;
  }

  /** Where the next TCP connection goes; `client` as for {@link keyOf}. */
  pickPeer(client?: string): { readonly peer: PeerAddress; readonly state: EndpointState } | undefined {
    const source = client === undefined ? this.#self.identity : withoutPort(client);
    const state = this.#balancer.pick(undefined, this.#readKey?.(undefined, source));
    const member = state && this.#members.get(state);
    return member && { peer: member.peer, state };
  }

  readonly #mayConnect: ConnectionGate = () => !this.#breaker?.isOpen('connections');

  #limitBy(breaker: Breaker | undefined): void {
    this.#breaker = breaker;
    breaker?.countPooled(() => this.#connections);
  }

  /** Of endpoints that stand for one process, the pool is the same. */
  get #connections(): number {
    let connections = 0;
    for (const pool of new Set(Array.from(this.#members.values(), (member) => member.pool))) {
      connections += pool.size + pool.opening;
    }
    return connections;
  }

  #createBalancer({ balancer, outlierDetection, zone }: ClusterSettings): LoadBalancer {
    const { random, clock, metrics } = this.#context;
    const { service } = this.#target;
    return createBalancer(balancer, random, clock, {
      zone,
      outlierDetection,
      onEjected({ reason }) {
        metrics.ejections.with(service, describeReference(outlierDetection!.policy), reason).add(1);
      },
    });
  }

  #identityOf(endpoint: Endpoint): string | undefined {
    return identityAt(endpoint, endpoint.ports[this.#target.port]);
  }

  #join(state: EndpointState): Member {
    const { address, ports } = state.endpoint;
    const identity = this.#identityOf(state.endpoint);
    const place = { host: address, port: ports[this.#target.port] };
    // The own pod's traffic is not redirected, so the application itself would get the handshake.
    const isOwnPod = this.#self.addresses?.has(address) ?? false;
    const { balancer, protocol, appTls } = this.#settings;
    const peer: PeerAddress = isOwnPod
      ? { ...place, identity: undefined, ownPod: true, ...(appTls && { appTls }) }
      : { ...place, identity };
    const pool = this.#pools.acquire(peer, protocol, this.#mayConnect);
    const session = 'session' in balancer && balancer.session && sessionCookie(balancer.session, state.id);
    return { peer, pool, upstream: { pool, state, address: formatHostPort(peer), ...(session && { session }) } };
  }
}

/** A client's connections come from many ports. */
function withoutPort(address: string): string {
  return address.slice(0, address.lastIndexOf(':'));
}

/** Who the proxy is, and where. */
export interface ProxyPlace {
  /** Its workload's SPIFFE id, by which its calls are hashed where that is asked for. */
  readonly identity: string;
  readonly zone?: string;
  /** Where connections to the pod's own addresses do not meet a proxy, these addresses. */
  readonly addresses?: ReadonlySet<string>;
}

/** All clusters of a proxy, each made when a route first needs it. */
export class Clusters implements MeshViewObserver {
  readonly #context: ProxyContext;
  readonly #pools: Pools;
  readonly #self: ProxyPlace;
  readonly #clusters = new Map<QualifiedName, Map<number, Cluster>>();
  #view!: MeshView;

  constructor(context: ProxyContext, pools: Pools, self: ProxyPlace) {
    this.#context = context;
    this.#pools = pools;
    this.#self = self;
  }

  /** Where services and endpoints are looked up; called once, since the view in turn reports changes here. */
  follow(view: MeshView): void {
    this.#view = view;
  }

  get(target: BackendTarget): Cluster {
    const { service, port } = target;
    let ports = this.#clusters.get(service);
    if (!ports) {
      ports = new Map();
      this.#clusters.set(service, ports);
    }
    let cluster = ports.get(port);
    if (!cluster) {
      const settings = this.#settingsOf(service, port);
      const breaker = this.#view.breakers.ofPort(target);
      cluster = new Cluster(this.#context, this.#pools, this.#self, target, settings, breaker);
      cluster.update(this.#view.endpoints(service));
      ports.set(port, cluster);
    }
    return cluster;
  }

  onEndpoints(service: QualifiedName, endpoints: readonly Endpoint[]): void {
    for (const cluster of this.#clusters.get(service)?.values() ?? []) cluster.update(endpoints);
  }

  onService(service: QualifiedName): void {
    for (const [port, cluster] of this.#clusters.get(service) ?? []) {
      cluster.configure(this.#settingsOf(service, port), this.#view.breakers.ofPort({ service, port }));
    }
  }

  get all(): readonly Cluster[] {
    return [...this.#clusters.values()].flatMap((ports) => [...ports.values()]);
  }

  #settingsOf(service: QualifiedName, port: number): ClusterSettings {
    const { balancer = defaultBalancer, ports = [] } = this.#view.service(service) ?? {};
    const { outlierDetection, appTls } = ports.find((each) => each.port === port) ?? {};
    return {
      balancer,
      outlierDetection,
      appTls,
      protocol: this.#view.port(service, port)?.protocol ?? 'http',
      retryBudget: this.#view.service(service)?.retryBudget,
      zone: this.#self.zone ?? this.#view.workload?.zone,
    };
  }
}
