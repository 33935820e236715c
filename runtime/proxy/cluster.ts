import {
  createBalancer,
  createRetryBudget,
  type EndpointState,
  type LoadBalancer,
  type RetryBudget,
} from '../engine/index.ts';
import type { BackendTarget, Balancer, Endpoint, Protocol, QualifiedName } from '../model/index.ts';
import type { ProxyContext, Upstream } from './exchange.ts';
import type { MeshView, MeshViewObserver } from './mesh-view.ts';
import type { PeerAddress } from './peer-link.ts';
import type { Pools } from './pools.ts';

interface Member {
  readonly upstream: Upstream;
  readonly peer: PeerAddress;
}

/** How a port of a service is served. */
export interface ClusterSettings {
  readonly balancer: Balancer;
  readonly protocol: Protocol;
}

/** The endpoints behind one port of a service, balanced, each with its pool. Lives as long as the proxy. */
export class Cluster {
  readonly budget: RetryBudget;
  readonly #context: ProxyContext;
  readonly #pools: Pools;
  readonly #port: number;
  #settings: ClusterSettings;
  #balancer: LoadBalancer;
  #endpoints: readonly Endpoint[] = [];
  #members = new Map<EndpointState, Member>();
  #mtls = false;

  constructor(context: ProxyContext, pools: Pools, port: number, settings: ClusterSettings) {
    this.budget = createRetryBudget(context.clock);
    this.#context = context;
    this.#pools = pools;
    this.#port = port;
    this.#settings = settings;
    this.#balancer = createBalancer(settings.balancer, context.random, context.clock);
  }

  /** Whether there are endpoints and all of them are reached by mutual TLS. */
  get mtls(): boolean {
    return this.#mtls;
  }

  configure(settings: ClusterSettings): void {
    if (settings.balancer === this.#settings.balancer && settings.protocol === this.#settings.protocol) return;
    const former = { members: this.#members, protocol: this.#settings.protocol };
    this.#settings = settings;
    this.#balancer = createBalancer(settings.balancer, this.#context.random, this.#context.clock);
    this.#members = new Map();
    this.update(this.#endpoints);
    for (const { peer } of former.members.values()) this.#pools.release(peer, former.protocol);
  }

  update(endpoints: readonly Endpoint[]): void {
    this.#endpoints = endpoints;
    const usable = endpoints.filter(({ ports }) => ports[this.#port] !== undefined);
    this.#mtls = usable.length > 0 && usable.every(({ identity }) => identity !== undefined);
    this.#balancer.update(usable);
    const members = new Map<EndpointState, Member>();
    for (const state of this.#balancer.endpoints) {
      members.set(state, this.#members.get(state) ?? this.#join(state));
    }
    for (const [state, { peer }] of this.#members) {
      if (!members.has(state)) this.#pools.release(peer, this.#settings.protocol);
    }
    this.#members = members;
  }

  /** Prefers endpoints that were not tried; takes a tried one rather than none. */
  pick(tried: ReadonlySet<EndpointState> | undefined): Upstream | undefined {
    const state = this.#balancer.pick(tried) ?? (tried && this.#balancer.pick());
    return state && this.#members.get(state)?.upstream;
  }

  /** Where the next TCP connection goes. */
  pickPeer(): PeerAddress | undefined {
    const state = this.#balancer.pick();
    return state && this.#members.get(state)?.peer;
  }

  #join(state: EndpointState): Member {
    const { address, ports, identity } = state.endpoint;
    const peer: PeerAddress = { host: address, port: ports[this.#port], identity };
    const pool = this.#pools.acquire(peer, this.#settings.protocol);
    return { peer, upstream: { pool, state, address: `${peer.host}:${peer.port}` } };
  }
}

/** All clusters of a proxy, each made when a route first needs it. */
export class Clusters implements MeshViewObserver {
  readonly #context: ProxyContext;
  readonly #pools: Pools;
  readonly #clusters = new Map<QualifiedName, Map<number, Cluster>>();
  #view!: MeshView;

  constructor(context: ProxyContext, pools: Pools) {
    this.#context = context;
    this.#pools = pools;
  }

  /** Where services and endpoints are looked up; called once, since the view in turn reports changes here. */
  follow(view: MeshView): void {
    this.#view = view;
  }

  get({ service, port }: BackendTarget): Cluster {
    let ports = this.#clusters.get(service);
    if (!ports) {
      ports = new Map();
      this.#clusters.set(service, ports);
    }
    let cluster = ports.get(port);
    if (!cluster) {
      cluster = new Cluster(this.#context, this.#pools, port, this.#settingsOf(service, port));
      cluster.update(this.#view.endpoints(service));
      ports.set(port, cluster);
    }
    return cluster;
  }

  onEndpoints(service: QualifiedName, endpoints: readonly Endpoint[]): void {
    for (const cluster of this.#clusters.get(service)?.values() ?? []) cluster.update(endpoints);
  }

  onService(service: QualifiedName): void {
    for (const [port, cluster] of this.#clusters.get(service) ?? []) cluster.configure(this.#settingsOf(service, port));
  }

  #settingsOf(service: QualifiedName, port: number): ClusterSettings {
    return {
      balancer: this.#view.service(service)?.balancer ?? 'least-request',
      protocol: this.#view.port(service, port)?.protocol ?? 'http',
    };
  }
}
