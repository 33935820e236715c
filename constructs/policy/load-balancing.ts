import { ApiObject } from 'cdk8s';
import { Construct } from 'constructs';
import type { Balancer } from '../../runtime/model/index.ts';
import { apiVersions, type LoadBalancingPolicyObject } from '../../runtime/resources/index.ts';
import type { IPolicyTarget } from '../interfaces.ts';
import { metadata, nameBelowMesh } from '../metadata.ts';
import type { Check, Checked } from '../synth/check.ts';
import { checkPolicyTarget, claimPolicy, targetRef } from './target-ref.ts';

/** The service it is about, and the algorithm. */
export interface LoadBalancingPolicyProps {
  /** The service or version the endpoints of which are chosen. */
  readonly target: IPolicyTarget;

  /**
   * `least-request` compares two random endpoints by load and latency; `round-robin` takes each in turn. Without a
   * policy it is `least-request`.
   */
  readonly algorithm: Balancer;
}

const algorithms = { 'least-request': 'LeastRequest', 'round-robin': 'RoundRobin' } as const;

/**
 * How callers of a service choose one of its endpoints.
 *
 * @example
 * new LoadBalancingPolicy(shop, 'even', { target: catalog, algorithm: 'round-robin' });
 */
export class LoadBalancingPolicy extends Construct implements Checked {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:LoadBalancingPolicy';

  readonly #target: IPolicyTarget;

  constructor(scope: Construct, id: string, props: LoadBalancingPolicyProps) {
    super(scope, id);
    this.#target = props.target;
    const spec: LoadBalancingPolicyObject['spec'] = {
      targetRefs: [targetRef(props.target)],
      algorithm: algorithms[props.algorithm],
    };
    new ApiObject(this, 'Resource', {
      apiVersion: apiVersions.meshwright,
      kind: 'LoadBalancingPolicy',
      metadata: metadata(this, nameBelowMesh(this)),
      spec,
    });
  }

  /** @internal */
  _check(check: Check): void {
    claimPolicy(check, this, 'LoadBalancingPolicy');
    checkPolicyTarget(check, this, this.#target);
    const { service, name, port } = this.#target._backend();
    const owner = check.claim(`load balancing of ${service.namespace}/${name}${port ? `:${port.name}` : ''}`, this);
    if (!owner) return;
    check.report(
      'MW1335',
      this,
      `${owner.node.path} already says how the endpoints of ${name} are chosen`,
      'keep one of the two',
    );
  }
}
