import { Construct, type IConstruct } from 'constructs';
import type {
  Backend,
  ICaller,
  IPolicyTarget,
  IService,
  Principal,
  RouteParent,
  ServiceAccountReference,
} from './interfaces.ts';
import { type Ports, ServicePort, type ServicePorts, serviceParent } from './port.ts';
import { Target } from './target.ts';

/** What a service's handle needs to know, be the service ours or not. */
export interface ServiceHandle<P extends Ports, V extends string> {
  readonly serviceName: string;
  readonly namespace: string;
  readonly ports: P;
  readonly versions: readonly V[];
  readonly serviceAccounts: readonly ServiceAccountReference[];
  /** The identities of one version. */
  readonly serviceAccountsOf: (version: V) => readonly ServiceAccountReference[];
}

/** Weights by version. There are none for a service without versions. */
export type Weights<V extends string> = [V] extends [never] ? never : { readonly [N in V]?: number };

/** The part that owned and referred-to services share, so that they are used alike. */
export abstract class ServiceBase<P extends Ports = Ports, V extends string = string>
  extends Construct
  implements IService
{
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:Service';

  /** Name of the Kubernetes Service that selects all of it. */
  readonly serviceName: string;
  readonly namespace: string;
  /** The identities its workloads have. */
  readonly serviceAccounts: readonly ServiceAccountReference[];
  /** Its ports by name; {@link port} gives one of them. */
  readonly ports: ServicePorts<P>;
  readonly #versions: ReadonlyMap<string, ServiceVersion>;

  constructor(scope: Construct, id: string, handle: ServiceHandle<P, V>) {
    super(scope, id);
    this.serviceName = handle.serviceName;
    this.namespace = handle.namespace;
    this.serviceAccounts = handle.serviceAccounts;
    this.ports = ServicePort._of(this, handle.ports);
    this.#versions = new Map(
      handle.versions.map((name) => [name, new ServiceVersion(this, name, handle.serviceAccountsOf(name))]),
    );
  }

  /** The versions it declares, in the order of their declaration. */
  get versions(): readonly ServiceVersion[] {
    return [...this.#versions.values()];
  }

  /**
   * One of its ports, to attach a route or policy to, or to send requests to. Ports it does not have do not compile.
   *
   * @example new GrpcRoute(shop, 'calls', { parent: pricing.port('grpc'), rules })
   */
  port<N extends keyof P & string>(name: N): ServicePorts<P>[N] {
    const port = this.ports[name];
    if (!port)
      throw new Error(`service ${this.serviceName} has no port ${name}, only ${list(Object.keys(this.ports))}`);
    return port;
  }

  /**
   * One of its versions, to send requests to. Versions it does not have do not compile.
   *
   * @example { match: [Header.is('x-canary', 'always')], to: reviews.version('v3') }
   */
  version(name: V): ServiceVersion {
    const version = this.#versions.get(name);
    if (!version)
      throw new Error(`service ${this.serviceName} has no version ${name}, only ${list([...this.#versions.keys()])}`);
    return version;
  }

  /**
   * Its versions as weighted targets. A version that is left out gets nothing.
   *
   * @param weights - the share of each, relative to their sum
   * @example to: reviews.split({ v1: 90, v2: 10 })
   */
  split(weights: Weights<V>): readonly Target[] {
    return Object.entries(weights).map(([name, weight]) => Target.weighted(this.version(name as V), weight as number));
  }

  /** @internal */
  _backend(): Backend {
    return { service: this, name: this.serviceName };
  }

  /** @internal */
  _parent(): RouteParent {
    return serviceParent(this, Object.values(this.ports));
  }

  /** @internal */
  _principals(): readonly Principal[] {
    return principalsOf(this.serviceAccounts);
  }

  /** @internal */
  _construct(): IConstruct {
    return this;
  }
}

/** One version of a service; get it with `service.version('v2')`. */
export class ServiceVersion implements IPolicyTarget, ICaller {
  readonly service: IService;
  readonly name: string;
  /** Name of the Kubernetes Service that selects this version only: `reviews-v2`. */
  readonly serviceName: string;
  readonly serviceAccounts: readonly ServiceAccountReference[];

  /** @internal */
  constructor(service: IService, name: string, serviceAccounts: readonly ServiceAccountReference[]) {
    this.service = service;
    this.name = name;
    this.serviceName = versionedName(service.serviceName, name);
    this.serviceAccounts = serviceAccounts;
  }

  /** @internal */
  _backend(): Backend {
    return { service: this.service, name: this.serviceName };
  }

  /** @internal */
  _principals(): readonly Principal[] {
    return principalsOf(this.serviceAccounts);
  }

  /** @internal */
  _construct(): IConstruct {
    return this.service;
  }
}

/** What is made for one version. */
export class VersionScope extends Construct {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:Version';
}

/** `reviews-v2`: the Deployment, Service and ServiceAccount of a version. */
export function versionedName(service: string, version: string): string {
  return `${service}-${version}`;
}

function principalsOf(serviceAccounts: readonly ServiceAccountReference[]): readonly Principal[] {
  return serviceAccounts.map((serviceAccount) => ({ kind: 'service-account', serviceAccount }));
}

function list(names: readonly string[]): string {
  return names.length ? names.join(', ') : 'none';
}
