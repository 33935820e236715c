import { ApiObject } from 'cdk8s';
import { Construct } from 'constructs';
import type { MtlsMode } from '../../runtime/model/index.ts';
import { apiVersions, type MtlsPolicyObject } from '../../runtime/resources/index.ts';
import type { IPolicyTarget } from '../interfaces.ts';
import { metadata, nameBelowMesh, namespaceAt } from '../metadata.ts';
import type { Check, Checked } from '../synth/check.ts';
import { checkPolicyTarget, claimPolicy, describeTarget, targetRef } from './target-ref.ts';

/** What it is about, and whether plain text is accepted there. */
export interface MtlsPolicyProps {
  /**
   * The service, port or version that is called.
   * @default - every workload of the mesh's namespace
   */
  readonly target?: IPolicyTarget;

  /** `strict` refuses plain text; `permissive` serves it too, to callers without identity. */
  readonly mode: MtlsMode;
}

/**
 * Whether plain text from outside the mesh is accepted. What holds for a port wins over what holds for its service,
 * that over what holds for the namespace, that over the mesh.
 *
 * @example
 * new MtlsPolicy(shop, 'open-metrics', { target: catalog.port('metrics'), mode: 'permissive' });
 */
export class MtlsPolicy extends Construct implements Checked {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:MtlsPolicy';

  readonly #props: MtlsPolicyProps;

  constructor(scope: Construct, id: string, props: MtlsPolicyProps) {
    super(scope, id);
    this.#props = props;
    const spec: MtlsPolicyObject['spec'] = {
      targetRefs: [props.target ? targetRef(props.target) : { group: '', kind: 'Namespace', name: namespaceAt(this) }],
      mode: props.mode === 'strict' ? 'Strict' : 'Permissive',
    };
    new ApiObject(this, 'Resource', {
      apiVersion: apiVersions.meshwright,
      kind: 'MtlsPolicy',
      metadata: metadata(this, nameBelowMesh(this)),
      spec,
    });
  }

  /** @internal */
  _check(check: Check): void {
    const { target } = this.#props;
    claimPolicy(check, this, 'MtlsPolicy');
    if (target) checkPolicyTarget(check, this, target);
    const what = target ? describeTarget(target) : `namespace ${namespaceAt(this)}`;
    const owner = check.claim(`mutual TLS of ${what}`, this);
    if (!owner) return;
    const message = `${owner.node.path} already says whether ${what} takes plain text`;
    check.report('MW1342', this, message, 'keep one of the two');
  }
}
