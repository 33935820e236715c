import {
  type AccessDecider,
  type CompiledListener,
  type ConnectionRouter,
  compileAccess,
  compileConnections,
  compileFaults,
  compileListeners,
  compileRateLimits,
  compileServicePort,
  type FaultInjector,
  hostsOf,
  type RateLimiter,
  type Router,
} from '../engine/index.ts';
import {
  type AppTls,
  type BackendTarget,
  type Clock,
  connectionRoutesFor,
  type Endpoint,
  type Finding,
  finding,
  type Gateway,
  type InboundPort,
  type MtlsMode,
  type Protocol,
  type QualifiedName,
  type Resource,
  type ResourceKind,
  rulesFor,
  type Service,
  type Timeouts,
  type Workload,
} from '../model/index.ts';
import { Breakers } from './breakers.ts';
import { Strangers } from './strangers.ts';

/** A port of a service, ready to route. */
export interface CompiledPort {
  readonly service: QualifiedName;
  readonly port: number;
  readonly protocol: Protocol;
  readonly router: Router;
  /** Where its connections go, on a tcp port. */
  readonly connections: ConnectionRouter;
}

/** A port of a gateway, ready to route. */
export interface GatewayPort {
  readonly gateway: QualifiedName;
  readonly listener: CompiledListener;
}

/** A port of the workload itself, ready to decide about what comes to it. */
export interface CompiledInbound {
  readonly protocol: Protocol;
  readonly mtls: MtlsMode;
  /** Plain text begins with a PROXY header. */
  readonly proxyProtocol: boolean;
  /** The application listens with TLS only. */
  readonly appTls: AppTls | undefined;
  /** Decides who may use it. */
  readonly access: AccessDecider;
  /** Decides how much it takes; absent where that is not limited. */
  readonly rateLimiter: RateLimiter | undefined;
}

/** What the rest of the proxy hears of a change. */
export interface MeshViewObserver {
  onEndpoints(service: QualifiedName, endpoints: readonly Endpoint[]): void;
  onService(service: QualifiedName): void;
}

const defaultHttpPort = 80;

/** The configuration in force, compiled when it arrives so that a request only looks up. */
export class MeshView {
  readonly breakers = new Breakers();
  readonly #namespace: string;
  readonly #resources = new Map<string, Resource>();
  /** What the controller said does not exist, or something about that cannot be used. */
  readonly #absent = new Set<string>();
  readonly #services = new Map<QualifiedName, Service>();
  readonly #ports = new Map<QualifiedName, readonly CompiledPort[]>();
  readonly #faults = new Map<string, FaultInjector>();
  readonly #hosts = new Map<string, QualifiedName>();
  readonly #endpoints = new Map<QualifiedName, readonly Endpoint[]>();
  readonly #listeners = new Map<number, GatewayPort>();
  readonly #inbound = new Map<number, CompiledInbound>();
  readonly #observers: readonly MeshViewObserver[];
  #revision = 0;
  readonly #clock: Clock;
  #rateLimits: ReadonlyMap<number, RateLimiter> = new Map();
  #workload: Workload | undefined;
  #strangers = new Strangers();

  /** `namespace` is where callers are: short host names (`reviews`) and consumer routes are those of it. */
  constructor(namespace: string, observers: readonly MeshViewObserver[], clock: Clock) {
    this.#namespace = namespace;
    this.#observers = observers;
    this.#clock = clock;
  }

  get workload(): Workload | undefined {
    return this.#workload;
  }

  /** What is believed of callers without identity; another one when that may have changed. */
  get strangers(): Strangers {
    return this.#strangers;
  }

  /** Everything in force, in the form it arrived. */
  get resources(): readonly Resource[] {
    return [...this.#resources.values()];
  }

  /** Whether the controller has told about it, be it that it does not exist or something that cannot be used. */
  knows(kind: ResourceKind, name: QualifiedName): boolean {
    const key = `${kind} ${name}`;
    return this.#resources.has(key) || this.#absent.has(key);
  }

  /** Takes an update; what cannot be compiled of it is told, and there what was stays in force. */
  apply(updates: readonly Resource[], kind: ResourceKind, removed: readonly string[]): readonly Finding[] {
    const findings: Finding[] = [];
    const prepared: (readonly [string, Resource, () => void])[] = [];
    for (const resource of updates) {
      const key = `${resource.kind} ${resource.name}`;
      try {
        prepared.push([key, resource, this.#prepare(resource)]);
      } catch (error) {
        this.#absent.add(key);
        findings.push(
          finding('MW1702', {
            object: key,
            message: `the proxy cannot use it: ${(error as Error).message}`,
            hint: 'correct the object it was made of; the proxy goes on with what it had',
          }),
        );
      }
    }
    for (const [key, resource, commit] of prepared) {
      commit();
      this.#resources.set(key, resource);
      this.#absent.delete(key);
    }
    for (const name of removed) this.#remove(kind, name);
    return findings;
  }

  /** The service's port that a request for `host` and `port` means. */
  findPort(host: string, port: number | undefined): CompiledPort | undefined {
    const service = this.#hosts.get(host);
    return service === undefined ? undefined : this.port(service, port ?? defaultHttpPort);
  }

  port(service: QualifiedName, port: number): CompiledPort | undefined {
    const ports = this.#ports.get(service);
    if (ports) for (const each of ports) if (each.port === port) return each;
    return undefined;
  }

  service(name: QualifiedName): Service | undefined {
    return this.#services.get(name);
  }

  /** Changes when a service does. */
  get revision(): number {
    return this.#revision;
  }

  /** What limits the time of requests to a port, beyond what their rule says. */
  timeouts({ service, port }: BackendTarget): Timeouts | undefined {
    return this.#services.get(service)?.ports.find((each) => each.port === port)?.timeouts;
  }

  endpoints(service: QualifiedName): readonly Endpoint[] {
    return this.#endpoints.get(service) ?? [];
  }

  /** Whether any port has faults: almost never. */
  get hasFaults(): boolean {
    return this.#faults.size > 0;
  }

  /** What goes wrong on purpose where a port is called. */
  faults({ service, port }: BackendTarget): FaultInjector | undefined {
    return this.#faults.get(portKey(service, port));
  }

  listener(port: number): GatewayPort | undefined {
    return this.#listeners.get(port);
  }

  /** One of the workload's own ports; what it does not declare carries TCP. `undefined` before there is a workload. */
  inbound(port: number): CompiledInbound | undefined {
    const declared = this.#inbound.get(port);
    if (declared || !this.#workload) return declared;
    return compileInbound(this.#workload, { port, protocol: 'tcp' }, undefined);
  }

  /** Compiles first; what it returns cannot fail. */
  #prepare(resource: Resource): () => void {
    switch (resource.kind) {
      case 'service':
        return this.#prepareService(resource);
      case 'endpoints':
        return () => {
          this.#endpoints.set(resource.name, resource.endpoints);
          for (const observer of this.#observers) observer.onEndpoints(resource.name, resource.endpoints);
        };
      case 'workload': {
        const rateLimits = compileRateLimits(resource.rateLimits ?? [], resource.ports, this.#clock, this.#rateLimits);
        const strangers = new Strangers(resource.strangers);
        const ports = resource.ports.map(
          (port) => [port.port, compileInbound(resource, port, rateLimits.get(port.port))] as const,
        );
        return () => {
          this.#workload = resource;
          this.#strangers = strangers;
          this.#rateLimits = rateLimits;
          replaceAll(this.#inbound, ports);
        };
      }
      case 'gateway':
        return this.#prepareGateway(resource);
    }
  }

  #prepareService(service: Service): () => void {
    const ports = service.ports.map(
      (port): CompiledPort => ({
        service: service.name,
        port: port.port,
        protocol: port.protocol,
        router: compileServicePort(service.name, { ...port, rules: rulesFor(port, this.#namespace) }),
        connections: compileConnections(connectionRoutesFor(port, this.#namespace), {
          service: service.name,
          port: port.port,
        }),
      }),
    );
    const faults = service.ports.flatMap(({ port, faults }) => {
      const injector = compileFaults(faults);
      return injector ? [[portKey(service.name, port), injector] as const] : [];
    });
    const rules = service.ports.flatMap((port) => rulesFor(port, this.#namespace));
    return () => {
      this.#revision++;
      this.#forgetService(service.name);
      for (const [key, injector] of faults) this.#faults.set(key, injector);
      this.breakers.takeService(service, rules);
      this.#services.set(service.name, service);
      this.#ports.set(service.name, ports);
      for (const host of hostsOf(service, this.#namespace)) this.#hosts.set(host, service.name);
      for (const observer of this.#observers) observer.onService(service.name);
    };
  }

  #prepareGateway(gateway: Gateway): () => void {
    const listeners = Array.from(
      compileListeners(gateway),
      ([port, listener]) => [port, { gateway: gateway.name, listener }] as const,
    );
    return () => {
      this.breakers.takeGateway(gateway);
      replaceAll(this.#listeners, listeners);
    };
  }

  #remove(kind: ResourceKind, name: QualifiedName): void {
    this.#resources.delete(`${kind} ${name}`);
    this.#absent.add(`${kind} ${name}`);
    switch (kind) {
      case 'service':
        this.#revision++;
        this.#forgetService(name);
        this.breakers.forgetService(name);
        for (const observer of this.#observers) observer.onService(name);
        break;
      case 'endpoints':
        this.#endpoints.delete(name);
        for (const observer of this.#observers) observer.onEndpoints(name, []);
        break;
      case 'gateway':
        this.#listeners.clear();
        break;
      case 'workload':
        // A workload that vanished is being stopped; until then its last rules hold.
        break;
    }
  }

  #forgetService(name: QualifiedName): void {
    const service = this.#services.get(name);
    if (!service) return;
    this.#services.delete(name);
    this.#ports.delete(name);
    for (const { port } of service.ports) this.#faults.delete(portKey(name, port));
    for (const host of hostsOf(service, this.#namespace)) if (this.#hosts.get(host) === name) this.#hosts.delete(host);
  }
}

function compileInbound(
  { access, mtls }: Workload,
  port: InboundPort,
  rateLimiter: RateLimiter | undefined,
): CompiledInbound {
  return {
    protocol: port.protocol,
    mtls: port.mtls ?? mtls,
    proxyProtocol: port.proxyProtocol === true,
    appTls: port.appTls,
    access: compileAccess(access, port),
    rateLimiter,
  };
}

function portKey(service: QualifiedName, port: number): string {
  return `${service}:${port}`;
}

function replaceAll<Key, Value>(map: Map<Key, Value>, entries: Iterable<readonly [Key, Value]>): void {
  map.clear();
  for (const [key, value] of entries) map.set(key, value);
}
