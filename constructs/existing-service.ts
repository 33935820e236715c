import { k8s } from 'cdk8s-plus-27';
import type { Construct } from 'constructs';
import type { ServiceAccountReference } from './interfaces.ts';
import { metadata, namespaceAt } from './metadata.ts';
import type { Ports } from './port.ts';
import { ServiceBase, VersionScope, versionedName } from './service-base.ts';
import { checkPorts, renderPorts, withAppTls, withPortAnnotations } from './service-ports.ts';
import type { Check, Checked } from './synth/check.ts';
import { checkLabels, checkNamespace, checkServiceName, claimObject } from './synth/rules.ts';

interface Common<P extends Ports> {
  /** The ports it has, so that it can be used as if it were ours. */
  readonly ports: P;

  /**
   * Names of the service accounts its pods run as.
   * @default - not known; access rules cannot name it as a caller
   */
  readonly serviceAccounts?: readonly string[];
}

/** What must be known of a service that exists. */
export interface FromNameProps<P extends Ports, V extends string> extends Common<P> {
  /**
   * Name of the Kubernetes Service.
   * @default - the id
   */
  readonly name?: string;

  /**
   * Its namespace.
   * @default - the namespace of the mesh
   */
  readonly namespace?: string;

  /**
   * Versions for each of which a Kubernetes Service `<name>-<version>` exists.
   * @default - none
   */
  readonly versions?: readonly V[];
}

/** A Kubernetes Service that somebody else made. */
export class ExistingService<P extends Ports, V extends string> extends ServiceBase<P, V> implements Checked {
  readonly #props: FromNameProps<P, V>;

  constructor(scope: Construct, id: string, props: FromNameProps<P, V>) {
    const namespace = props.namespace ?? namespaceAt(scope);
    super(scope, id, {
      serviceName: props.name ?? id,
      namespace,
      ports: props.ports,
      versions: props.versions ?? [],
      ...identities(namespace, props.serviceAccounts),
    });
    this.#props = props;
  }

  /** @internal */
  _check(check: Check): void {
    checkNamespace(check, this, this.namespace);
    checkServiceName(check, this, 'service name', this.serviceName);
    checkPorts(check, this, this.#props.ports);
    const versions = this.#props.versions ?? [];
    for (const version of versions.filter((name, index) => versions.indexOf(name) !== index)) {
      check.report('MW1143', this, `version ${version} is named twice`, 'name it once');
    }
  }
}

/** What must be known of pods that exist. */
export interface FromSelectorProps<P extends Ports, V extends string> extends Common<P> {
  /** The labels its pods have. */
  readonly selector: Readonly<Record<string, string>>;

  /**
   * Its versions by name, with the labels the pods of each have besides.
   * @default - it has no versions
   */
  readonly versions?: Readonly<Record<V, Readonly<Record<string, string>>>>;
}

/** Kubernetes Services, made by us, for pods that somebody else runs. */
export class SelectedService<P extends Ports, V extends string> extends ServiceBase<P, V> implements Checked {
  readonly #props: FromSelectorProps<P, V>;

  constructor(scope: Construct, id: string, props: FromSelectorProps<P, V>) {
    const namespace = namespaceAt(scope);
    super(scope, id, {
      serviceName: id,
      namespace,
      ports: props.ports,
      versions: Object.keys(props.versions ?? {}) as V[],
      ...identities(namespace, props.serviceAccounts),
    });
    this.#props = props;

    const ports = renderPorts(props.ports);
    new k8s.KubeService(this, 'Resource', {
      metadata: withPortAnnotations(metadata(this, id), props.ports),
      spec: { selector: { ...props.selector }, ports },
    });
    for (const [version, selector] of this.#selectors()) {
      new k8s.KubeService(new VersionScope(this, version), 'Resource', {
        metadata: withAppTls(metadata(this, versionedName(id, version)), props.ports),
        spec: { selector, ports },
      });
    }
  }

  /** @internal */
  _check(check: Check): void {
    checkServiceName(check, this, 'service name', this.serviceName);
    claimObject(check, this, 'Service', this.namespace, this.serviceName);
    checkPorts(check, this, this.#props.ports);
    checkLabels(check, this, this.#props.selector);
    if (Object.keys(this.#props.selector).length === 0) {
      check.report(
        'MW1142',
        this,
        'its selector is empty and would select no pods',
        "state the labels of its pods, for example { app: 'reviews' }",
      );
    }
    for (const [version, selector] of this.#selectors()) {
      const name = versionedName(this.serviceName, version);
      checkServiceName(check, this, `the name of version ${version},`, name);
      claimObject(check, this, 'Service', this.namespace, name);
      checkLabels(check, this, selector);
    }
  }

  #selectors(): readonly (readonly [string, Record<string, string>])[] {
    const versions: Readonly<Record<string, Readonly<Record<string, string>>>> = this.#props.versions ?? {};
    return Object.entries(versions).map(([version, extra]) => [version, { ...this.#props.selector, ...extra }]);
  }
}

function identities(namespace: string, names: readonly string[] = []) {
  const serviceAccounts: readonly ServiceAccountReference[] = names.map((name) => ({ namespace, name }));
  return { serviceAccounts, serviceAccountsOf: () => serviceAccounts };
}
