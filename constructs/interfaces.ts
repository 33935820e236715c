import type { IConstruct } from 'constructs';
import type { Protocol } from '../runtime/model/index.ts';
import type { ParentRef } from '../runtime/resources/index.ts';

/** A service account, which is the identity a workload proves with its certificate. */
export interface ServiceAccountReference {
  readonly namespace: string;
  readonly name: string;
}

/** Something requests can be sent to: a service, one of its ports, one of its versions, or a weighted one of these. */
export interface ITarget {
  /** @internal */
  _backend(): Backend;
}

/** What a target comes down to. */
export interface Backend {
  readonly service: IService;
  /** Name of the Kubernetes Service. */
  readonly name: string;
  /** The port, where the target names one. */
  readonly port?: IServicePort;
  /** Share of the requests relative to the sum of all weights. */
  readonly weight?: number;
}

/** Something an access policy can name as the origin of a request. */
export interface ICaller {
  /** @internal */
  _principals(): readonly Principal[];
  /** The construct it belongs to, where it is one. @internal */
  _construct(): IConstruct | undefined;
}

/** One way to recognise a caller. */
export type Principal =
  | { readonly kind: 'service-account'; readonly serviceAccount: ServiceAccountReference }
  | { readonly kind: 'namespace'; readonly namespace: string }
  | { readonly kind: 'authenticated' }
  | { readonly kind: 'anyone' };

/** Something a route can be attached to. */
export interface IRouteParent {
  /** @internal */
  _parent(): RouteParent;
}

/** What a listener of a gateway is for: requests, or TLS that is passed on. */
export type ListenerProtocol = 'http' | 'tls';

/** What the parent of a route comes down to. */
export interface RouteParent {
  readonly construct: IConstruct;
  readonly namespace: string;
  readonly ref: ParentRef;
  /** The places that hold rules: two rules in different places never compete. */
  readonly places: readonly string[];
  /** The ports, where it is a service. */
  readonly ports: readonly IServicePort[];
  /** What its listeners are for, where it is a gateway. */
  readonly listeners?: readonly ListenerProtocol[];
  /** Tells the parent where its requests go. */
  readonly attach?: (backends: () => readonly Backend[]) => void;
}

/** Something a policy can be attached to: a service, one of its ports or one of its versions. */
export interface IPolicyTarget extends ITarget {}

/** Something that stands for the requests a route decides: a route, or one of its rules. */
export interface IRouteTarget {
  /** @internal */
  _route(): RouteReference;
}

/** What the target among routes comes down to. */
export interface RouteReference {
  readonly construct: IConstruct;
  readonly kind: 'HTTPRoute' | 'GRPCRoute';
  /** Name of the object. */
  readonly name: string;
  /** The names of those of its rules that have one. */
  readonly ruleNames: readonly string[];
  /** The rule; absent for the whole route. */
  readonly rule?: string;
}

/** A port of a service: what a route attaches to. */
export interface IServicePort<P extends Protocol = Protocol> extends IPolicyTarget, IRouteParent {
  readonly service: IService;
  readonly name: string;
  /** The number callers use. */
  readonly port: number;
  /** The number the container listens on. */
  readonly containerPort: number;
  readonly protocol: P;
}

/** A service, be it defined in this tree or only referred to. */
export interface IService extends IConstruct, IPolicyTarget, IRouteParent, ICaller {
  readonly serviceName: string;
  readonly namespace: string;
  readonly ports: Readonly<Record<string, IServicePort>>;
  /** The identities its workloads have. */
  readonly serviceAccounts: readonly ServiceAccountReference[];
}

/** A service all ports of which speak one of the protocols `P`. */
export interface IServiceOf<P extends Protocol> extends IService {
  readonly ports: Readonly<Record<string, IServicePort<P>>>;
}
