import type { Svid } from '../identity/index.ts';
import {
  type Finding,
  formatSpiffeId,
  type QualifiedName,
  type Resource,
  type ResourceKind,
  servicesBehind,
  servicesBehindGateway,
} from '../model/index.ts';
import {
  type Accept,
  type Destination,
  type ListenOptions,
  listenPlain,
  listenTls,
  loadDestinationReader,
  type PlainListenOptions,
  type PlainText,
  type TlsListener,
} from '../net/index.ts';
import { type Bootstrap, parseHostPort, type TransparentListeners } from './bootstrap.ts';
import { Clusters } from './cluster.ts';
import { Destinations } from './destinations.ts';
import { DirectPlans } from './direct.ts';
import type { ProxyContext } from './exchange-plan.ts';
import { listenForRedirected, listenInBothFamilies } from './families.ts';
import { GatewayListener } from './gateway.ts';
import { Inbound } from './inbound.ts';
import { type ProxyLimits, withStated } from './limits.ts';
import { MeshView, type MeshViewObserver } from './mesh-view.ts';
import { Outbound } from './outbound.ts';
import { Overload } from './overload.ts';
import { PeerLink, streamProtocol, tlsIdentity } from './peer-link.ts';
import { type ProxyState, readState, showState } from './policy-state.ts';
import { Pools } from './pools.ts';
import { Routing } from './routing.ts';
import { Servers } from './servers.ts';
import { TransparentInbound, TransparentOutbound } from './transparent.ts';

type ListenAddress = Pick<ListenOptions, 'host' | 'port' | 'destinationOf'>;

/** What a proxy should ask discovery for. */
export type Subscriptions = Readonly<Record<ResourceKind, readonly string[]>>;

/**
 * The data path of one workload: listeners, stacks and the configuration they follow. It asks nobody for anything:
 * certificates and configuration are given to it.
 */
export class MeshProxy {
  readonly #bootstrap: Bootstrap;
  readonly #context: ProxyContext;
  /** Where a Mesh states nothing. */
  readonly #defaults: ProxyLimits;
  readonly #link: PeerLink;
  readonly #pools: Pools;
  readonly #view: MeshView;
  /** What others send to the workload. */
  readonly #receiving: Servers;
  /** What the workload sends. */
  readonly #sending: Servers;
  readonly #routing: Routing;
  readonly #clusters: Clusters;
  readonly #direct: DirectPlans;
  /** Where connections are redirected to the proxy. */
  readonly #destinations: Destinations | undefined;
  /** Kinds of which the controller has told something. */
  readonly #heard = new Set<ResourceKind>();
  #svid: Svid | undefined;
  #listening = false;
  #tlsListeners: TlsListener[] = [];

  /** @param addresses - all those of the pod; one of them is in the bootstrap document */
  constructor(bootstrap: Bootstrap, context: ProxyContext, addresses: readonly string[] = []) {
    this.#bootstrap = bootstrap;
    this.#context = context;
    this.#defaults = context.limits;
    this.#link = new PeerLink(context, bootstrap.trustDomain);
    this.#pools = new Pools(this.#link);
    const identity = formatSpiffeId(bootstrap);
    const { namespace, zone, transparent } = bootstrap;
    const own = transparent && { addresses: new Set([transparent.podIp, ...addresses]) };
    this.#clusters = new Clusters(context, this.#pools, { identity, zone, ...own });
    this.#direct = new DirectPlans(context, this.#pools, this.#source);
    const observers: MeshViewObserver[] = [this.#clusters];
    if (transparent) {
      const { port } = parseHostPort(bootstrap.admin);
      this.#destinations = new Destinations([port], (endpoint) => this.#direct.forget(endpoint));
      observers.push(this.#destinations);
    }
    this.#view = new MeshView(namespace, observers, context.clock);
    this.#clusters.follow(this.#view);
    this.#destinations?.follow(this.#view);
    const overload = new Overload(context);
    this.#receiving = new Servers(context, overload);
    this.#sending = new Servers(context, overload);
    this.#routing = new Routing(context, this.#clusters, this.#view);
    const { metrics } = context;
    metrics.registry.beforeExpose(() => showState(metrics, this.state, this.#source()));
  }

  /** What the policies that remember something have come to. */
  get state(): ProxyState {
    return readState(this.#view.breakers, this.#clusters, this.#context.clock);
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
      names.every((name) =>
        name === '*' ? this.#heard.has(kind as ResourceKind) : this.#view.knows(kind as ResourceKind, name),
      ),
    );
  }

  /** The configuration in force. */
  get resources(): readonly Resource[] {
    return this.#view.resources;
  }

  /** Takes an update, and tells what it cannot use of it. Nothing that is under way is touched. */
  apply(updates: readonly Resource[], kind: ResourceKind, removed: readonly string[]): readonly Finding[] {
    const findings = this.#view.apply(updates, kind, removed);
    this.#heard.add(kind);
    if (kind === 'workload') this.#setLimits();
    return findings;
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
    const { inbound, outbound, gateway, transparent } = this.#bootstrap;
    const source = this.#source;
    const { receiving, sending } = this.#stackParts;
    const out = new Outbound({ ...sending, clusters: this.#clusters, routing: this.#routing, source });

    for (const { listen, port, app } of inbound) {
      const stack = new Inbound({ ...receiving, pools: this.#pools, port, app });
      await this.#listenMtls(
        parseHostPort(listen),
        () => port,
        (accepted) => stack.accept(accepted),
      );
    }
    for (const { listen, service, port } of outbound.services) {
      await this.#listenPlain(this.#sending, parseHostPort(listen), (accepted) =>
        out.acceptService(accepted, service, port),
      );
    }
    if (outbound.proxy) {
      await this.#listenPlain(this.#sending, parseHostPort(outbound.proxy), (accepted) => out.acceptProxy(accepted));
    }
    for (const { listen, port } of gateway) {
      const stack = new GatewayListener({
        ...receiving,
        clusters: this.#clusters,
        routing: this.#routing,
        source,
        port,
      });
      const proxyHeader = () =>
        this.#view.listener(port)?.listener.proxyProtocol ? this.#context.limits.connectTimeout : undefined;
      await listenInBothFamilies(listen, (address) =>
        this.#listenPlain(this.#receiving, { ...address, proxyHeader }, (accepted) => stack.accept(accepted)),
      );
    }
    if (transparent) await this.#listenTransparently(transparent, out);
    this.#listening = true;
  }

  /**
   * Accepts nothing new, lets what is under way finish, cuts the rest after the drain timeout. What the application has
   * begun for others may need calls: these are taken until it has finished that, but for the last quarter of the time,
   * in which its connections are told.
   */
  async drain(): Promise<void> {
    const { clock, limits } = this.#context;
    const end = clock.now() + limits.drainTimeout;
    const received = this.#receiving.drain(limits.drainTimeout);
    const late = Promise.withResolvers<void>();
    const timer = clock.schedule(limits.drainTimeout * 0.75, late.resolve);
    await Promise.race([received, late.promise]);
    timer.cancel();
    await Promise.all([received, this.#sending.drain(Math.max(0, end - clock.now()))]);
    this.#pools.destroy();
  }

  /** They hold for connections from now on; those that are open keep what they were given. */
  #setLimits(): void {
    const limits = withStated(this.#defaults, this.#view.workload?.limits);
    this.#context.limits = limits;
    for (const servers of [this.#receiving, this.#sending]) servers.setMaxConnections(limits.maxConnections);
  }

  /** The services that the routes of a resource lead to. */
  #behind(resource: Resource): readonly QualifiedName[] {
    if (resource.kind === 'service') return servicesBehind(resource, this.#bootstrap.namespace);
    return resource.kind === 'gateway' ? servicesBehindGateway(resource) : [];
  }

  async #listenTransparently({ inbound, outbound, podIp }: TransparentListeners, out: Outbound): Promise<void> {
    const destinationOf = await loadDestinationReader();
    const parts = this.#stackParts;
    const receiving = new TransparentInbound({ ...parts.receiving, pools: this.#pools }, podIp);
    const sending = new TransparentOutbound({
      ...parts.sending,
      outbound: out,
      destinations: this.#destinations!,
      direct: this.#direct,
      source: this.#source,
    });
    await listenForRedirected(inbound, (address) =>
      this.#listenMtls(
        { ...address, destinationOf },
        (destination) => destination!.port,
        (accepted) => receiving.accept(accepted),
      ),
    );
    await listenForRedirected(outbound, (address) =>
      this.#listenPlain(this.#sending, { ...address, destinationOf }, (accepted) => sending.accept(accepted)),
    );
  }

  /** What all stacks of a direction are made of. */
  get #stackParts() {
    const shared = { context: this.#context, view: this.#view, link: this.#link };
    return { receiving: { ...shared, servers: this.#receiving }, sending: { ...shared, servers: this.#sending } };
  }

  /** Where the proxy has several processes, each listens on all of its ports. */
  get #shared(): Pick<ListenOptions, 'clock' | 'reusePort'> {
    const { clock } = this.#context;
    return (this.#bootstrap.concurrency ?? 1) > 1 ? { clock, reusePort: true } : { clock };
  }

  async #listenPlain(
    servers: Servers,
    address: ListenAddress & Pick<PlainListenOptions, 'proxyHeader'>,
    accept: Accept,
  ): Promise<void> {
    const { limits, metrics } = this.#context;
    const { maxConnections } = limits;
    const onRefused = () => metrics.proxyHeadersRefused.add(1);
    servers.add(await listenPlain({ ...address, ...this.#shared, maxConnections, onRefused }, accept));
  }

  /** `portOf` tells which of the workload's ports a connection is for. */
  async #listenMtls(
    address: ListenAddress,
    portOf: (destination: Destination | undefined) => number,
    accept: Accept,
  ): Promise<void> {
    const { limits, metrics } = this.#context;
    const listener = await listenTls(
      {
        ...address,
        ...this.#shared,
        maxConnections: limits.maxConnections,
        identity: tlsIdentity(this.#svid!),
        verify: this.#link.verify,
        alpn: ['h2', streamProtocol],
        handshakeTimeout: limits.connectTimeout,
        plainText: (destination) => this.#plainText(portOf(destination)),
        onRefused: () => metrics.handshakesRefused.add(1),
        onHeaderRefused: () => metrics.proxyHeadersRefused.add(1),
      },
      accept,
    );
    this.#receiving.add(listener);
    this.#tlsListeners.push(listener);
  }

  /** Clients of HTTP speak first in any case. */
  #plainText(port: number): PlainText | undefined {
    const inbound = this.#view.inbound(port);
    if (inbound?.mtls !== 'permissive') return undefined;
    const { serverFirstDelay, connectTimeout } = this.#context.limits;
    const header = inbound.proxyProtocol ? { proxyHeader: connectTimeout } : {};
    if (inbound.protocol !== 'tcp') return { silence: connectTimeout, ...header };
    return { silence: serverFirstDelay, meshProtocol: streamProtocol, ...header };
  }

  /** The workload, as its own metrics name it. */
  readonly #source = (): string => {
    const { workload } = this.#view;
    return workload?.service ?? workload?.name ?? this.#bootstrap.workload;
  };
}
