import type { AppTls, Protocol } from '../runtime/model/index.ts';
import { groups } from '../runtime/resources/index.ts';
import type { Backend, IService, IServicePort, RouteParent } from './interfaces.ts';

/** What can be said of a port besides its number and protocol. */
export interface PortOptions {
  /**
   * The port the container listens on.
   * @default - the same as the service's port
   */
  readonly containerPort?: number;

  /**
   * Plain text from outside the mesh comes through a proxy that begins each connection with a PROXY header (version 2):
   * a load balancer or HAProxy. It names the client, and connections without one are refused. What the mesh sends has
   * none.
   * @default false
   */
  readonly proxyProtocol?: boolean;
}

/** What can be said of a port whose requests the mesh understands. */
export interface HttpPortOptions extends PortOptions {
  /**
   * The program listens with TLS only. Its sidecar speaks TLS to it, 1.2 at least, with `h2` or `http/1.1` by ALPN as the
   * port says; the rest of the mesh stays as it is. `unverified`: the certificate is not checked and may change, as the
   * connection never leaves the pod, and who answers there is the pod itself. The Gateway API has BackendTLSPolicy for
   * backends to be verified.
   * @default - the program takes plain text
   */
  readonly appTls?: AppTls;
}

/** A port of a service with the protocol it speaks, which is stated and never guessed. */
export class Port<P extends Protocol = Protocol> {
  /**
   * The program speaks HTTP/1.1. Its callers may speak HTTP/2 as well, and between proxies it travels so.
   *
   * @param port - the number callers use
   * @example { http: Port.http(80, { containerPort: 8080 }) }
   */
  static http(port: number, options?: HttpPortOptions): Port<'http'> {
    return new Port('http', port, options);
  }

  /** The program speaks HTTP/2, without TLS (prior knowledge) unless `appTls` says so. Its callers may speak HTTP/1.1 as well. */
  static http2(port: number, options?: HttpPortOptions): Port<'http2'> {
    return new Port('http2', port, options);
  }

  /** gRPC. A {@link GrpcRoute} can decide its calls by method. */
  static grpc(port: number, options?: HttpPortOptions): Port<'grpc'> {
    return new Port('grpc', port, options);
  }

  /** Bytes the mesh does not look into: databases, queues. */
  static tcp(port: number, options?: PortOptions): Port<'tcp'> {
    return new Port('tcp', port, options);
  }

  readonly protocol: P;
  /** The number callers use. */
  readonly port: number;
  /** The number the container listens on. */
  readonly containerPort: number;
  /** Whether plain text begins with a PROXY header. */
  readonly proxyProtocol?: boolean;
  /** Whether the program listens with TLS only, and what of it is verified. */
  readonly appTls?: AppTls;

  private constructor(protocol: P, port: number, options: HttpPortOptions = {}) {
    this.protocol = protocol;
    this.port = port;
    this.containerPort = options.containerPort ?? port;
    this.proxyProtocol = options.proxyProtocol;
    this.appTls = options.appTls;
  }
}

/** The ports of a service by name. */
export type Ports = Readonly<Record<string, Port>>;

/** The ports of a service as others see them. */
export type ServicePorts<P extends Ports> = { readonly [N in keyof P]: ServicePort<P[N]['protocol']> };

/** One port of one service; get it with `service.port('http')`. */
export class ServicePort<P extends Protocol = Protocol> implements IServicePort<P> {
  /** Gives each of the ports its service. @internal */
  static _of<T extends Ports>(service: IService, ports: T): ServicePorts<T> {
    const entries = Object.entries(ports).map(([name, port]) => [name, new ServicePort(service, name, port)]);
    return Object.fromEntries(entries) as ServicePorts<T>;
  }

  readonly service: IService;
  readonly name: string;
  /** The number callers use. */
  readonly port: number;
  /** The number the container listens on. */
  readonly containerPort: number;
  readonly protocol: P;

  private constructor(service: IService, name: string, port: Port<P>) {
    this.service = service;
    this.name = name;
    this.port = port.port;
    this.containerPort = port.containerPort;
    this.protocol = port.protocol;
  }

  /** @internal */
  _backend(): Backend {
    return { service: this.service, name: this.service.serviceName, port: this };
  }

  /** @internal */
  _parent(): RouteParent {
    return serviceParent(this.service, [this]);
  }
}

/** Some ports of a service, or all of them, as the parent of a route (GAMMA). */
export function serviceParent(service: IService, ports: readonly IServicePort[]): RouteParent {
  const { serviceName: name, namespace } = service;
  return {
    construct: service,
    namespace,
    ref: { group: groups.core, kind: 'Service', name, ...(ports.length === 1 && { port: ports[0].port }) },
    places: ports.map(({ port }) => `Service ${namespace}/${name}:${port}`),
    ports,
  };
}
