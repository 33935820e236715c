import { ApiObject, Chart } from 'cdk8s';
import type { Construct, IConstruct } from 'constructs';
import { formatFinding, type MtlsMode } from '../runtime/model/index.ts';
import { apiVersions, labels, type MeshObject } from '../runtime/resources/index.ts';
import { metadata } from './metadata.ts';
import { type Check, type Checked, validate } from './synth/check.ts';
import { checkNamespace, claimObject, quote } from './synth/rules.ts';

/** What holds for the whole mesh. */
export interface MeshProps {
  /** First part of every identity in the mesh: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`. */
  readonly trustDomain: string;

  /**
   * Whether plain text from outside the mesh is refused (`strict`) or served too (`permissive`).
   * @default 'strict'
   */
  readonly mtls?: MtlsMode;

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
 * const shop = new Mesh(app, 'shop', { trustDomain: 'shop.local' });
 */
export class Mesh extends Chart implements Checked {
  /** The namespace its services live in. */
  override readonly namespace: string;
  /** First part of every identity in the mesh. */
  readonly trustDomain: string;
  /** Whether plain text from outside the mesh is refused. */
  readonly mtls: MtlsMode;

  constructor(scope: Construct, id: string, props: MeshProps) {
    const namespace = props.namespace ?? id;
    super(scope, id, {
      namespace,
      labels: { [labels.appPartOf]: id, [labels.appManagedBy]: 'meshwright' },
      disableResourceNameHashes: true,
    });
    this.namespace = namespace;
    this.trustDomain = props.trustDomain;
    this.mtls = props.mtls ?? 'strict';

    const spec: MeshObject['spec'] = {
      trustDomain: this.trustDomain,
      mtls: this.mtls === 'strict' ? 'Strict' : 'Permissive',
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
    if (!/^[a-z0-9]([-a-z0-9._]{0,253}[a-z0-9])?$/.test(this.trustDomain)) {
      check.report(
        'MW1131',
        this,
        `trust domain ${quote(this.trustDomain)} is invalid; allowed are lower-case letters, digits, dots, dashes and underscores`,
        "write a name such as 'shop.local'",
      );
    }
  }
}

const meshObjectName = 'default';
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
