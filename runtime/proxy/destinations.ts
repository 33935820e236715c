import { type BackendTarget, type Endpoint, identityAt, type QualifiedName } from '../model/index.ts';
import { canonicalAddress, type Destination } from '../net/index.ts';
import type { MeshView, MeshViewObserver } from './mesh-view.ts';
import type { PeerAddress } from './peer-link.ts';

/** One port of one endpoint, as it is addressed directly. */
export interface EndpointPort {
  /** The service that it belongs to, and the service's port. */
  readonly target: BackendTarget;
  readonly peer: PeerAddress;
}

/** What an address and port mean in the mesh: a port of a service, or of an endpoint, or another one of that pod. */
export type Meaning =
  | { readonly kind: 'service'; readonly target: BackendTarget }
  | { readonly kind: 'endpoint'; readonly endpoint: EndpointPort }
  | { readonly kind: 'pod'; readonly service: QualifiedName; readonly peer: PeerAddress };

/** What is indexed for one service. */
interface Entry {
  services: ReadonlyMap<string, Meaning>;
  endpoints: ReadonlyMap<string, EndpointPort>;
  /** Addresses with a proxy. */
  pods: ReadonlyMap<string, Endpoint>;
}

/**
 * Who is meant by an address and port. A service is known by its virtual addresses, never by the host that a request
 * names (Gateway API, MeshClusterIPMatching); other addresses are those of endpoints. A proxy stands before
 * every port of its pod, so one that no service has is known by the pod's address alone. Indexed when configuration
 * arrives, so that a connection costs a few look-ups.
 */
export class Destinations implements MeshViewObserver {
  readonly #plainPorts: ReadonlySet<number>;
  readonly #onGone: (endpoint: EndpointPort) => void;
  readonly #entries = new Map<QualifiedName, Entry>();
  readonly #services = new Map<string, Meaning>();
  /** Services may share their endpoints; almost always there is one. */
  readonly #endpoints = new Map<string, readonly EndpointPort[]>();
  readonly #pods = new Map<string, ReadonlyMap<QualifiedName, Endpoint>>();
  #view!: MeshView;

  /**
   * @param plainPorts - those of proxies at which no connection is redirected, the same in every pod
   * @param onGone - hears of endpoints that will not be found any more
   */
  constructor(plainPorts: readonly number[], onGone: (endpoint: EndpointPort) => void) {
    this.#plainPorts = new Set(plainPorts);
    this.#onGone = onGone;
  }

  /** Where services are looked up; called once, since the view in turn reports changes here. */
  follow(view: MeshView): void {
    this.#view = view;
  }

  /** `undefined`: nothing of the mesh that this proxy knows. */
  find({ host, port }: Destination): Meaning | undefined {
    const key = keyOf(host, port);
    const service = this.#services.get(key);
    if (service) return service;
    const endpoints = this.#endpoints.get(key);
    if (!endpoints) return this.#findPod(host, port);
    return { kind: 'endpoint', endpoint: endpoints.length === 1 ? endpoints[0] : this.#prefer(endpoints) };
  }

  onService(name: QualifiedName): void {
    const { addresses, ports } = this.#view.service(name) ?? { addresses: [], ports: [] };
    const services = new Map<string, Meaning>();
    for (const address of addresses) {
      for (const { port } of ports) {
        services.set(keyOf(canonicalAddress(address), port), { kind: 'service', target: { service: name, port } });
      }
    }
    const entry = this.#entry(name);
    // A virtual address may have passed to another service since.
    for (const [key, meaning] of entry.services) if (this.#services.get(key) === meaning) this.#services.delete(key);
    for (const [key, meaning] of services) this.#services.set(key, meaning);
    entry.services = services;
    this.#tidy(name, entry);
  }

  onEndpoints(name: QualifiedName, endpoints: readonly Endpoint[]): void {
    const entry = this.#entry(name);
    const former = entry.endpoints;
    const current = new Map<string, EndpointPort>();
    const pods = new Map<string, Endpoint>();
    for (const endpoint of endpoints) {
      const { address, ports } = endpoint;
      const host = canonicalAddress(address);
      if (endpoint.identity !== undefined) pods.set(host, endpoint);
      for (const [servicePort, port] of Object.entries(ports)) {
        const key = keyOf(host, port);
        if (current.has(key)) continue;
        const identity = identityAt(endpoint, port);
        const known = former.get(key);
        const target = { service: name, port: Number(servicePort) };
        const same = known?.peer.identity === identity && known?.target.port === target.port;
        current.set(key, same && known ? known : { target, peer: { host, port, identity } });
      }
    }
    for (const [key, endpoint] of former) if (current.get(key) !== endpoint) this.#removeEndpoint(key, endpoint);
    for (const [key, endpoint] of current) if (former.get(key) !== endpoint) this.#addEndpoint(key, endpoint);
    entry.endpoints = current;
    for (const host of entry.pods.keys()) this.#removePod(host, name);
    for (const [host, endpoint] of pods) this.#pods.set(host, new Map(this.#pods.get(host)).set(name, endpoint));
    entry.pods = pods;
    this.#tidy(name, entry);
  }

  /** Any service of the pod tells who is there. */
  #findPod(host: string, port: number): Meaning | undefined {
    const [found] = this.#pods.get(host) ?? [];
    if (!found || this.#plainPorts.has(port)) return undefined;
    const [service, endpoint] = found;
    const identity = identityAt(endpoint, port);
    return identity === undefined ? undefined : { kind: 'pod', service, peer: { host, port, identity } };
  }

  #removePod(host: string, service: QualifiedName): void {
    const others = new Map(this.#pods.get(host));
    others.delete(service);
    if (others.size > 0) this.#pods.set(host, others);
    else this.#pods.delete(host);
  }

  /** Who has a name for single endpoints is the one who is asked for them: a headless service. */
  #prefer(endpoints: readonly EndpointPort[]): EndpointPort {
    const isHeadless = ({ target }: EndpointPort): boolean =>
      this.#view.service(target.service)?.addresses.length === 0;
    return endpoints.find(isHeadless) ?? endpoints[0];
  }

  #addEndpoint(key: string, endpoint: EndpointPort): void {
    const others = this.#endpoints.get(key);
    const byName = (a: EndpointPort, b: EndpointPort): number => (a.target.service < b.target.service ? -1 : 1);
    this.#endpoints.set(key, others ? [...others, endpoint].sort(byName) : [endpoint]);
  }

  #removeEndpoint(key: string, endpoint: EndpointPort): void {
    const others = this.#endpoints.get(key)?.filter((each) => each !== endpoint) ?? [];
    if (others.length > 0) this.#endpoints.set(key, others);
    else this.#endpoints.delete(key);
    this.#onGone(endpoint);
  }

  #entry(name: QualifiedName): Entry {
    let entry = this.#entries.get(name);
    if (!entry) {
      entry = { services: new Map(), endpoints: new Map(), pods: new Map() };
      this.#entries.set(name, entry);
    }
    return entry;
  }

  #tidy(name: QualifiedName, { services, endpoints, pods }: Entry): void {
    if (services.size + endpoints.size + pods.size === 0) this.#entries.delete(name);
  }
}

function keyOf(host: string, port: number): string {
  return `${host} ${port}`;
}
