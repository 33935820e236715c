import { ApiObject, Chart, type ChartProps } from 'cdk8s';
import type { Construct, IConstruct } from 'constructs';
import { formatFinding, type MtlsMode } from '../runtime/model/index.ts';
import { apiVersions, labels, type MeshObject } from '../runtime/resources/index.ts';
import { checkLimits, formatLimits, type MeshLimits } from './limits.ts';
import { metadata } from './metadata.ts';
import { isUnknown } from './placeholder.ts';
import { checkStrangers, formatStrangers, type StrangerProps } from './strangers.ts';
import type { Check, Checked } from './synth/check.ts';
import { checkNamespace, claimObject, quote } from './synth/rules.ts';
import { validate } from './synth/validate.ts';

/** What holds for the services of a mesh. */
export interface MeshProps {
  /**
   * First part of every identity: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`. It is one for a control
   * plane; who states it wants to hear of it (MW1601) where the mesh meets another one.
   * @default - that of the control plane, which is `cluster.local` unless it was told otherwise
   */
  readonly trustDomain?: string;

  /**
   * Whether plain text from outside the mesh is refused (`strict`) or served too (`permissive`).
   * @default 'strict'
   */
  readonly mtls?: MtlsMode;

  /**
   * Bounds of its proxies: sizes, counts, time-outs.
   * @default - each has a default of its own
   */
  readonly limits?: MeshLimits;

  /**
   * What is believed of callers without identity: clients of gateways, and who sends plain text.
   * @default - nothing that they say of their own clients
   */
  readonly strangers?: StrangerProps;

  /**
   * The namespace its services live in.
   * @default - the id of the mesh
   */
  readonly namespace?: string;
}

/**
 * A service mesh: the services of one namespace, who may call whom and how. One mesh makes one YAML file.
 *
 * @example
 * const app = new App();
 * const shop = new Mesh(app, 'shop', { mtls: 'strict' });
 */
export class Mesh extends Chart implements Checked {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:Mesh';

  /**
   * A mesh that exists already: makes nothing itself, but routes, policies and services can be added to it.
   *
   * @example
   * const shop = Mesh.fromName(app, 'shop');
   * const reviews = Service.fromName(shop, 'reviews', { ports: { http: Port.http(9080) } });
   */
  static fromName(scope: Construct, id: string, props: ExistingMeshProps = {}): ExistingMesh {
    return new ExistingMesh(scope, id, props);
  }

  /** The namespace its services live in. */
  override readonly namespace: string;
  /** First part of every identity in the mesh, where it is stated. */
  readonly trustDomain: string | undefined;
  /** Whether plain text from outside the mesh is refused. */
  readonly mtls: MtlsMode;
  readonly #limits: MeshLimits;
  readonly #strangers: StrangerProps;

  constructor(scope: Construct, id: string, props: MeshProps = {}) {
    const namespace = props.namespace ?? id;
    super(scope, id, chartProps(id, namespace));
    this.namespace = namespace;
    this.trustDomain = props.trustDomain;
    this.mtls = props.mtls ?? 'strict';
    this.#limits = props.limits ?? {};
    this.#strangers = props.strangers ?? {};
    const strangers = formatStrangers(this.#strangers);

    const spec: MeshObject['spec'] = {
      ...(this.trustDomain === undefined ? {} : { trustDomain: this.trustDomain }),
      mtls: this.mtls === 'strict' ? 'Strict' : 'Permissive',
      ...(Object.keys(this.#limits).length > 0 ? { limits: formatLimits(this.#limits) } : {}),
      ...(Object.keys(strangers).length > 0 ? { strangers } : {}),
    };
    new ApiObject(this, 'Resource', {
      apiVersion: apiVersions.meshwright,
      kind: 'Mesh',
      metadata: metadata(this, meshObjectName),
      spec,
    });
    guard(this.node.root);
  }

  /** @internal */
  _check(check: Check): void {
    checkNamespace(check, this, this.namespace);
    claimObject(check, this, 'Mesh', this.namespace, meshObjectName);
    checkLimits(check, this, this.#limits);
    checkStrangers(check, this, this.#strangers);
    const { trustDomain } = this;
    if (
      trustDomain !== undefined &&
      !isUnknown(trustDomain) &&
      !/^[a-z0-9]([-a-z0-9._]{0,253}[a-z0-9])?$/.test(trustDomain)
    ) {
      check.report(
        'MW1131',
        this,
        `trust domain ${quote(trustDomain)} is invalid; allowed are lower-case letters, digits, dots, dashes and underscores`,
        "write a name such as 'shop.local'",
      );
    }
  }
}

/** What must be known of a mesh that exists. */
export interface ExistingMeshProps {
  /**
   * The namespace its services live in.
   * @default - the id
   */
  readonly namespace?: string;
}

/** A mesh that somebody else made. */
export class ExistingMesh extends Chart implements Checked {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:Mesh';

  /** The namespace its services live in. */
  override readonly namespace: string;

  constructor(scope: Construct, id: string, { namespace = id }: ExistingMeshProps) {
    super(scope, id, chartProps(id, namespace));
    this.namespace = namespace;
    guard(this.node.root);
  }

  /** @internal */
  _check(check: Check): void {
    checkNamespace(check, this, this.namespace);
  }
}

const meshObjectName = 'default';

function chartProps(id: string, namespace: string): ChartProps {
  return {
    namespace,
    labels: { [labels.appPartOf]: id, [labels.appManagedBy]: 'meshwright' },
    disableResourceNameHashes: true,
  };
}

const guarded = 'meshwright.dev/guarded';

/** Has cdk8s itself ask what is wrong before it writes: a plain `app.synth()` writes no mesh with errors either. */
function guard(root: IConstruct): void {
  if (root.node.metadata.some(({ type }) => type === guarded)) return;
  root.node.addMetadata(guarded, true);
  root.node.addValidation({
    validate: () =>
      validate(root)
        .filter(({ severity }) => severity === 'error')
        .map(formatFinding),
  });
}
