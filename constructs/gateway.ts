import { ApiObject, Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import { Construct, type IConstruct } from 'constructs';
import {
  annotations,
  apiVersions,
  defaultImage,
  type GatewayObject,
  gatewayClassName,
  groups,
  injectEnabled,
  labels,
  proxyContainer,
} from '../runtime/resources/index.ts';
import type { Backend, ICaller, IRouteParent, IService, Principal, RouteParent } from './interfaces.ts';
import { metadata, namespaceAt, withNames } from './metadata.ts';
import type { Check, Checked } from './synth/check.ts';
import { DeclaredCalls } from './synth/declared-calls.ts';
import {
  checkHostname,
  checkPortName,
  checkPortNumber,
  checkReplicas,
  checkServiceName,
  claimObject,
  listOf,
} from './synth/rules.ts';

/** A port on which a gateway takes requests from outside. */
export interface ListenerProps {
  /** The number clients connect to. */
  readonly port: number;

  /**
   * The host it is for; `*.example.com` is for all names below one.
   * @default - all hosts
   */
  readonly hostname?: string;

  /**
   * `passthrough`: it takes TLS, which it passes on as it comes, by the server that the handshake names. A
   * {@link TlsRoute} says where to.
   * @default - it takes HTTP
   */
  readonly tls?: 'passthrough';

  /**
   * Connections begin with a PROXY header (version 2), by which a load balancer before the gateway names the client.
   * Those without one are refused. The same for all listeners of a port.
   * @default false
   */
  readonly proxyProtocol?: boolean;
}

/** What a gateway listens on, and what runs it. */
export interface GatewayProps<L extends string> {
  /**
   * Where it takes requests, by name.
   *
   * @example { http: { port: 80 } }
   */
  readonly listeners: Readonly<Record<L, ListenerProps>>;

  /**
   * How many proxies run.
   * @default 1
   */
  readonly replicas?: number;

  /**
   * The image of the proxy.
   * @default - the one of this version of Meshwright
   */
  readonly image?: string;
}

/**
 * Lets requests from outside into the mesh. Routes attached to it decide where they go; it calls what those name.
 *
 * @example
 * const gateway = new Gateway(shop, 'shop', { listeners: { http: { port: 80 } } });
 * new Route(shop, 'storefront', { parent: gateway, rules: [{ to: web }] });
 */
export class Gateway<L extends string = string> extends Construct implements ICaller, IRouteParent, Checked {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:Gateway';

  /** Name of the Gateway object. */
  readonly gatewayName: string;
  readonly namespace: string;
  readonly #props: GatewayProps<L>;
  readonly #routes: (() => readonly Backend[])[] = [];

  constructor(scope: Construct, id: string, props: GatewayProps<L>) {
    super(scope, id);
    this.#props = props;
    this.gatewayName = id;
    this.namespace = namespaceAt(this);

    const spec: GatewayObject['spec'] = {
      gatewayClassName,
      listeners: this.#listeners.map(([name, { port, hostname, tls }]) => ({
        name,
        port,
        hostname,
        ...(tls ? { protocol: 'TLS', tls: { mode: 'Passthrough' } } : { protocol: 'HTTP' }),
      })),
    };
    const proxied = this.#listeners.flatMap(([name, { proxyProtocol }]) => (proxyProtocol ? [name] : []));
    new ApiObject(this, 'Resource', {
      apiVersion: apiVersions.gateway,
      kind: 'Gateway',
      metadata: withNames(metadata(this, id), annotations.proxyProtocol, proxied),
      spec,
    });
    this.#runProxy();
  }

  /** One of its listeners, to attach a route to it alone. */
  listener(name: L): GatewayListener {
    if (!this.#props.listeners[name]) {
      throw new Error(
        `gateway ${this.gatewayName} has no listener ${name}, only ${listOf(Object.keys(this.#props.listeners))}`,
      );
    }
    return new GatewayListener(this, name);
  }

  /** @internal */
  _parent(listener?: string): RouteParent {
    const names = listener ? [listener] : this.#listeners.map(([name]) => name);
    return {
      construct: this,
      namespace: this.namespace,
      ref: {
        group: groups.gateway,
        kind: 'Gateway',
        name: this.gatewayName,
        ...(listener && { sectionName: listener }),
      },
      places: names.map((name) => `Gateway ${this.namespace}/${this.gatewayName}:${name}`),
      ports: [],
      listeners: names.map((name) => (this.#props.listeners[name as L].tls ? 'tls' : 'http')),
      attach: (backends) => this.#routes.push(backends),
    };
  }

  /** @internal */
  _principals(): readonly Principal[] {
    return [{ kind: 'service-account', serviceAccount: { namespace: this.namespace, name: this.#workloadName } }];
  }

  /** @internal */
  _construct(): IConstruct {
    return this;
  }

  /** @internal */
  _check(check: Check): void {
    checkServiceName(check, this, 'gateway name', this.gatewayName);
    claimObject(check, this, 'Service', this.namespace, this.#workloadName);
    claimObject(check, this, 'Gateway', this.namespace, this.gatewayName);
    checkReplicas(check, this, this.#props.replicas ?? 1);
    if (this.#listeners.length === 0) {
      check.report('MW1431', this, 'it has no listeners', 'state at least one: { http: { port: 80 } }');
    }
    const seen = new Map<string, string>();
    const protocols = new Map<number, 'passthrough' | undefined>();
    for (const [name, { port, hostname, tls, proxyProtocol }] of this.#listeners) {
      checkPortName(check, this, name);
      checkPortNumber(check, this, `the port of listener ${name}`, port);
      if (hostname) checkHostname(check, this, hostname);
      const key = `${port} ${hostname ?? '*'}`;
      const other = seen.get(key);
      if (other) {
        check.report(
          'MW1432',
          this,
          `listeners ${other} and ${name} both take requests for ${hostname ?? 'all hosts'} on port ${port}`,
          'give one of them another port or host',
        );
      }
      seen.set(key, name);
      const [first] = this.#listeners.find(([, listener]) => listener.port === port)!;
      if ((this.#props.listeners[first as L].proxyProtocol ?? false) !== (proxyProtocol ?? false)) {
        check.report(
          'MW1412',
          this,
          `of listeners ${first} and ${name}, which share port ${port}, one takes PROXY headers and the other does not`,
          'say the same for both: a header comes before anything tells which listener is meant',
        );
      }
      if (protocols.has(port) && protocols.get(port) !== tls) {
        check.report(
          'MW1432',
          this,
          `listener ${name} takes ${tls ? 'TLS' : 'HTTP'} on port ${port}, which takes ${tls ? 'HTTP' : 'TLS'} already`,
          'give one of them another port',
        );
      }
      protocols.set(port, tls);
    }
    if (this.#routes.length === 0) {
      check.report(
        'MW1433',
        this,
        'no route is attached to it; it answers 404 to everything',
        'add a Route with it as parent',
      );
    }
    for (const service of this.#callees()) check.analysis(DeclaredCalls).declare(this, service);
  }

  get #listeners(): readonly [string, ListenerProps][] {
    return Object.entries(this.#props.listeners);
  }

  /** As the Gateway API has it for what is made for a Gateway: `<name>-<class>` (GEP-1762). */
  get #workloadName(): string {
    return `${this.gatewayName}-${gatewayClassName}`;
  }

  #callees(): ReadonlySet<IService> {
    return new Set(this.#routes.flatMap((backends) => backends().map(({ service }) => service)));
  }

  #runProxy(): void {
    const name = this.#workloadName;
    const identity = { [labels.appName]: name, [labels.gatewayName]: this.gatewayName };
    const selector = { [labels.gatewayName]: this.gatewayName };
    // Listeners may share a port and differ by host.
    const ports = new Map(this.#listeners.map(([listener, { port, tls }]) => [port, { listener, tls }]));

    new k8s.KubeServiceAccount(this, 'ServiceAccount', { metadata: metadata(this, name, identity) });
    new k8s.KubeService(this, 'Service', {
      metadata: metadata(this, name, identity),
      spec: {
        type: 'LoadBalancer',
        selector,
        ports: [...ports].map(([port, { listener, tls }]) => ({
          name: listener,
          port,
          targetPort: k8s.IntOrString.fromNumber(port),
          appProtocol: tls ? 'https' : 'http',
        })),
      },
    });
    new k8s.KubeDeployment(this, 'Deployment', {
      metadata: metadata(this, name, identity),
      spec: {
        replicas: this.#props.replicas ?? 1,
        selector: { matchLabels: selector },
        template: {
          metadata: {
            labels: {
              ...Chart.of(this).labels,
              ...identity,
              [labels.inject]: injectEnabled,
              [labels.workload]: name,
            },
          },
          spec: {
            serviceAccountName: name,
            // Injection gives it what every proxy needs: identity, configuration, probes.
            containers: [
              {
                name: proxyContainer,
                image: this.#props.image ?? defaultImage,
                args: ['sidecar'],
                ports: [...ports].map(([containerPort, { listener }]) => ({ name: listener, containerPort })),
              },
            ],
          },
        },
      },
    });
  }
}

/** One listener of a gateway; get it with `gateway.listener('http')`. */
export class GatewayListener implements IRouteParent {
  readonly gateway: Gateway;
  readonly name: string;

  /** @internal */
  constructor(gateway: Gateway, name: string) {
    this.gateway = gateway;
    this.name = name;
  }

  /** @internal */
  _parent(): RouteParent {
    return this.gateway._parent(this.name);
  }
}
