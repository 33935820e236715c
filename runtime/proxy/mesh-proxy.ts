import type { Svid } from '../identity/index.ts';
import {
  type Finding,
  formatSpiffeId,
  type QualifiedName,
  type Resource,
  type ResourceKind,
  servicesBehind,
  targetsOf,
} from '../model/index.ts';
import { type Accept, type Listener, listenPlain, listenTls, type TlsListener } from '../net/index.ts';
import { type Bootstrap, parseHostPort } from './bootstrap.ts';
import { Clusters } from './cluster.ts';
import type { ProxyContext } from './exchange-plan.ts';
import { GatewayListener } from './gateway.ts';
import { Inbound } from './inbound.ts';
import { MeshView } from './mesh-view.ts';
import { Outbound } from './outbound.ts';
import { PeerLink, tlsIdentity } from './peer-link.ts';
import { Pools } from './pools.ts';
import { Routing } from './routing.ts';
import { Servers } from './servers.ts';

/** What a proxy should ask discovery for. */
export type Subscriptions = Readonly<Record<ResourceKind, readonly string[]>>;

/**
 * The data path of one workload: listeners, stacks and the configuration they follow. It asks nobody for anything:
 * certificates and configuration are given to it.
 */
export class MeshProxy {
  readonly #bootstrap: Bootstrap;
  readonly #context: ProxyContext;
  readonly #link: PeerLink;
  readonly #pools: Pools;
  readonly #view: MeshView;
  readonly #servers: Servers;
  readonly #routing: Routing;
  readonly #clusters: Clusters;
  #svid: Svid | undefined;
  #listening = false;
  #listeners: Listener[] = [];
  #tlsListeners: TlsListener[] = [];

  constructor(bootstrap: Bootstrap, context: ProxyContext) {
    this.#bootstrap = bootstrap;
    this.#context = context;
    this.#link = new PeerLink(context, bootstrap.trustDomain);
    this.#pools = new Pools(this.#link);
    const identity = formatSpiffeId(bootstrap);
    this.#clusters = new Clusters(context, this.#pools, { identity, zone: bootstrap.zone });
    this.#view = new MeshView(bootstrap.namespace, this.#clusters, context.clock);
    this.#clusters.follow(this.#view);
    this.#servers = new Servers(context);
    this.#routing = new Routing(context, this.#clusters, this.#view);
  }

  /** Why the proxy cannot take traffic; `undefined` when it can. */
  get notReady(): string | undefined {
    if (!this.#svid) return 'there is no certificate yet';
    if (!this.#listening) return this.hasConfiguration ? 'not listening' : 'there is no configuration yet';
    return undefined;
  }

  /** Whether it knows what to serve, and every service that it may call. */
  get hasConfiguration(): boolean {
    if (!this.#view.workload) return false;
    return Object.entries(this.subscriptions).every(([kind, names]) =>
      names.every((name) => name === '*' || this.#view.knows(kind as ResourceKind, name)),
    );
  }

  /** The configuration in force. */
  get resources(): readonly Resource[] {
    return this.#view.resources;
  }

  /** Takes an update as a whole, or returns why not. Nothing that is under way is touched. */
  apply(updates: readonly Resource[], kind: ResourceKind, removed: readonly string[]): readonly Finding[] {
    return this.#view.apply(updates, kind, removed);
  }

  /** New connections, both ways, prove this identity from now on. */
  setSvid(svid: Svid): void {
    this.#svid = svid;
    this.#link.setSvid(svid);
    for (const listener of this.#tlsListeners) listener.setIdentity(tlsIdentity(svid));
    this.#context.metrics.certificateExpiry.value = svid.notAfter / 1000;
  }

  /** What the configuration so far asks for: the services the workload calls, and where their routes lead. */
  get subscriptions(): Subscriptions {
    const { workload } = this.#view;
    const base = { workload: [this.#bootstrap.workload], gateway: workload?.gateway ? [workload.gateway] : [] };
    if (!workload) return { ...base, service: [], endpoints: [] };
    if (workload.calls === 'all') return { ...base, service: ['*'], endpoints: ['*'] };
    const names = new Set(workload.calls);
    for (const resource of this.#view.resources) for (const name of this.#behind(resource)) names.add(name);
    return { ...base, service: [...names], endpoints: [...names] };
  }

  /** Opens the listeners. Needs a certificate and the Workload; rejects when an address cannot be had. */
  async listen(): Promise<void> {
    const { inbound, outbound, gateway } = this.#bootstrap;
    const view = this.#view;
    const context = this.#context;
    const shared = { context, view, servers: this.#servers, link: this.#link };
    const source = (): string => view.workload?.service ?? view.workload?.name ?? this.#bootstrap.workload;
    const out = new Outbound({ ...shared, clusters: this.#clusters, routing: this.#routing, source });

    for (const listener of inbound) {
      const stack = new Inbound({ ...shared, pools: this.#pools, listener });
      await this.#listenMtls(listener.listen, (accepted) => stack.accept(accepted));
    }
    for (const { listen, service, port } of outbound.services) {
      await this.#listenPlain(listen, (accepted) => out.acceptService(accepted, service, port));
    }
    if (outbound.proxy) await this.#listenPlain(outbound.proxy, (accepted) => out.acceptProxy(accepted));
    for (const { listen, port } of gateway) {
      const stack = new GatewayListener({ ...shared, routing: this.#routing, source, port });
      await this.#listenPlain(listen, (accepted) => stack.accept(accepted));
    }
    this.#listening = true;
  }

  /** Accepts nothing new, lets what is under way finish, cuts the rest after the drain timeout. */
  async drain(): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    await this.#servers.drain(this.#context.limits.drainTimeout);
    this.#pools.destroy();
  }

  /** The services that the routes of a resource lead to. */
  #behind(resource: Resource): readonly QualifiedName[] {
    if (resource.kind === 'service') return servicesBehind(resource, this.#bootstrap.namespace);
    if (resource.kind !== 'gateway') return [];
    return resource.listeners.flatMap(({ virtualHosts }) => virtualHosts.flatMap(({ rules }) => targetsOf(rules)));
  }

  async #listenPlain(address: string, accept: Accept): Promise<void> {
    const { maxConnections } = this.#context.limits;
    this.#listeners.push(await listenPlain({ ...parseHostPort(address), maxConnections }, accept));
  }

  async #listenMtls(address: string, accept: Accept): Promise<void> {
    const { limits, metrics } = this.#context;
    const listener = await listenTls(
      {
        ...parseHostPort(address),
        maxConnections: limits.maxConnections,
        identity: tlsIdentity(this.#svid!),
        verify: this.#link.verify,
        alpn: ['h2'],
        handshakeTimeout: limits.connectTimeout,
        acceptsPlainText: () => this.#view.workload?.mtls === 'permissive',
        onRefused: () => metrics.handshakesRefused.add(1),
      },
      accept,
    );
    this.#listeners.push(listener);
    this.#tlsListeners.push(listener);
  }
}
