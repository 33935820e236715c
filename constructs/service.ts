import { k8s } from 'cdk8s-plus-27';
import type { Construct } from 'constructs';
import { qualifiedName } from '../runtime/model/index.ts';
import { labels } from '../runtime/resources/index.ts';
import { ExistingService, type FromNameProps, type FromSelectorProps, SelectedService } from './existing-service.ts';
import type { IService, ServiceAccountReference } from './interfaces.ts';
import { metadata, namespaceAt } from './metadata.ts';
import type { Ports } from './port.ts';
import { ServiceBase, VersionScope, versionedName } from './service-base.ts';
import { checkPorts, renderPorts, withPortAnnotations } from './service-ports.ts';
import type { Check, Checked } from './synth/check.ts';
import { DeclaredCalls } from './synth/declared-calls.ts';
import { checkServiceName, claimObject } from './synth/rules.ts';
import { Workload, type WorkloadProps } from './workload.ts';

/** What a service is: its ports, what runs it, and what it calls. */
export interface ServiceProps<P extends Ports, V extends string> {
  /**
   * Its ports by name. The program finds the number of the first in `PORT`, of others in `PORT_<NAME>`.
   *
   * @example { http: Port.http(8080) }
   */
  readonly ports: P;

  /**
   * What runs it. With `versions`, what all of them have in common.
   * @default - each version states its own
   */
  readonly workload?: WorkloadProps;

  /**
   * Its versions by name, with what is different from `workload`. Each is a Deployment of its own that routes can
   * send requests to.
   * @default - it has no versions: one Deployment runs it
   */
  readonly versions?: Readonly<Record<V, Partial<WorkloadProps>>>;

  /**
   * The services it calls. Its proxy learns of these and no others.
   * @default - it calls nothing; `calls()` adds to it later
   */
  readonly calls?: readonly IService[];
}

/**
 * A service: a name others call, and what runs behind it.
 *
 * @example
 * const reviews = new Service(shop, 'reviews', {
 *   ports: { http: Port.http(9080) },
 *   workload: { image: 'reviews:1.4' },
 *   versions: { v1: { replicas: 2 }, v2: {} },
 *   calls: [ratings],
 * });
 */
export class Service<P extends Ports = Ports, V extends string = never> extends ServiceBase<P, V> implements Checked {
  /** A service that exists already: nothing is made, everything can refer to it. */
  static fromName<P extends Ports, V extends string = never>(
    scope: Construct,
    id: string,
    props: FromNameProps<P, V>,
  ): ServiceBase<P, V> {
    return new ExistingService(scope, id, props);
  }

  /** A service for pods that exist already: makes the Kubernetes Services that select them. */
  static fromSelector<P extends Ports, V extends string = never>(
    scope: Construct,
    id: string,
    props: FromSelectorProps<P, V>,
  ): ServiceBase<P, V> {
    return new SelectedService(scope, id, props);
  }

  readonly #props: ServiceProps<P, V>;
  readonly #calls = new Set<IService>();

  /**
   * @param id - its name: others reach it as `http://<id>`
   */
  constructor(scope: Construct, id: string, props: ServiceProps<P, V>) {
    const namespace = namespaceAt(scope);
    const versions = Object.keys(props.versions ?? {}) as V[];
    const account = (name: string): ServiceAccountReference => ({ namespace, name });
    super(scope, id, {
      serviceName: id,
      namespace,
      ports: props.ports,
      versions,
      serviceAccounts: versions.length ? versions.map((version) => account(versionedName(id, version))) : [account(id)],
      serviceAccountsOf: (version) => [account(versionedName(id, version))],
    });
    this.#props = props;
    this.calls(...(props.calls ?? []));

    this.#selectBy(this, id, {});
    if (versions.length === 0) this.#runBy(this, 'Workload', id, props.workload ?? {});
    for (const version of versions) {
      const scope = new VersionScope(this, version);
      const name = versionedName(id, version);
      this.#selectBy(scope, name, { [labels.appVersion]: version });
      this.#runBy(scope, 'Workload', name, merge(props.workload, props.versions![version]), version);
    }
  }

  /** Declares that it calls other services, also such as are defined after it or call it in turn. */
  calls(...services: readonly IService[]): void {
    for (const service of services) this.#calls.add(service);
  }

  /** @internal */
  _check(check: Check): void {
    checkServiceName(check, this, 'service name', this.serviceName);
    claimObject(check, this, 'Service', this.namespace, this.serviceName);
    for (const version of this.versions) {
      checkServiceName(check, this, `the name of version ${version.name},`, version.serviceName);
      claimObject(check, this, 'Service', this.namespace, version.serviceName);
    }
    checkPorts(check, this, this.#props.ports);
    for (const callee of this.#calls) {
      if (check.holds(callee)) check.analysis(DeclaredCalls).declare(this, callee);
      else {
        check.report(
          'MW1141',
          this,
          `it calls ${callee.node.path}, which is in another tree`,
          'define both below one App, or refer to the other with Service.fromName',
        );
      }
    }
  }

  /** Makes the Kubernetes Service that selects all of it, or one version. */
  #selectBy(scope: Construct, name: string, extra: Readonly<Record<string, string>>): void {
    const selector = { [labels.appName]: this.serviceName, ...extra };
    const { ports } = this.#props;
    new k8s.KubeService(scope, 'Resource', {
      metadata: withPortAnnotations(metadata(this, name, selector), ports),
      spec: { selector, ports: renderPorts(ports) },
    });
  }

  #runBy(scope: Construct, id: string, name: string, workload: Partial<WorkloadProps>, version?: string): void {
    new Workload(scope, id, {
      name,
      service: this.serviceName,
      version,
      ports: this.#props.ports,
      workload,
      calls: () => [...this.#calls].map((service) => qualifiedName(service.namespace, service.serviceName)).sort(),
    });
  }
}

function merge(common: Partial<WorkloadProps> = {}, own: Partial<WorkloadProps>): Partial<WorkloadProps> {
  return { ...common, ...own, env: { ...common.env, ...own.env } };
}
