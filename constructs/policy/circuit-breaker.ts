import { ApiObject } from 'cdk8s';
import { Construct } from 'constructs';
import { apiVersions, type CircuitBreakerPolicyObject } from '../../runtime/resources/index.ts';
import type { IPolicyTarget, IRouteTarget, RouteReference } from '../interfaces.ts';
import { metadata, nameBelowMesh } from '../metadata.ts';
import type { Check, Checked } from '../synth/check.ts';
import {
  checkPolicyTarget,
  checkRouteTarget,
  claimPolicy,
  describeRoute,
  describeTarget,
  isCount,
  serviceOrRouteRef,
  speaksOnlyTcp,
} from './target-ref.ts';

type Spec = CircuitBreakerPolicyObject['spec'];

/** What is limited, and to how much. At least one limit must be stated; what is not stated is not limited. */
export interface CircuitBreakerPolicyProps {
  /**
   * What is called: a service, port or version; or the requests of a route, or of one of its rules
   * (`route.rule('split')`), wherever they go.
   */
  readonly target: IPolicyTarget | IRouteTarget;

  /**
   * Connections to all endpoints of a port together, those being made included. Each endpoint may have one in any case.
   * Requests that find none wait; TCP streams beyond are closed. Not for routes.
   * @default - not limited
   */
  readonly maxConnections?: number;

  /**
   * Requests that wait for a connection, or for a stream on one.
   * @default - not limited
   */
  readonly maxPendingRequests?: number;

  /**
   * Requests under way, from when they are sent to the end of their response. Each try counts.
   * @default - not limited
   */
  readonly maxRequests?: number;
}

const limits = ['maxConnections', 'maxPendingRequests', 'maxRequests'] as const;
const most = 1_000_000_000;

/**
 * How much each caller's proxy may have under way to a service, or by a route, at once. Beyond a limit the answer is
 * 503 (for gRPC `UNAVAILABLE`) at once, and there are no retries.
 *
 * @example
 * new CircuitBreakerPolicy(shop, 'ratings-limits', { target: ratings, maxRequests: 100, maxPendingRequests: 20 });
 */
export class CircuitBreakerPolicy extends Construct implements Checked {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:CircuitBreakerPolicy';

  readonly #props: CircuitBreakerPolicyProps;

  constructor(scope: Construct, id: string, props: CircuitBreakerPolicyProps) {
    super(scope, id);
    this.#props = props;
    const { maxConnections, maxPendingRequests, maxRequests } = props;
    const spec: Spec = {
      targetRefs: [serviceOrRouteRef(props.target)],
      ...(maxConnections !== undefined && { maxConnections }),
      ...(maxPendingRequests !== undefined && { maxPendingRequests }),
      ...(maxRequests !== undefined && { maxRequests }),
    };
    new ApiObject(this, 'Resource', {
      apiVersion: apiVersions.meshwright,
      kind: 'CircuitBreakerPolicy',
      metadata: metadata(this, nameBelowMesh(this)),
      spec,
    });
  }

  /** @internal */
  _check(check: Check): void {
    const { target, ...props } = this.#props;
    claimPolicy(check, this, 'CircuitBreakerPolicy');
    const stated = limits.filter((limit) => props[limit] !== undefined);
    if (stated.length === 0) {
      this.#refuse(check, 'it limits nothing', `state ${limits.join(', or ')}`);
    }
    for (const limit of stated) {
      const value = props[limit]!;
      if (isCount(value, most)) continue;
      const message = `${limit} is ${value}; allowed are whole numbers from 1 to ${most}`;
      this.#refuse(check, message, 'state how many there may be at once, or leave it out for no limit');
    }
    if ('_route' in target) this.#checkRoute(check, target._route());
    else this.#checkService(check, target);
  }

  #checkService(check: Check, target: IPolicyTarget): void {
    checkPolicyTarget(check, this, target);
    this.#claim(check, describeTarget(target));
    if (this.#props.maxConnections !== undefined || !speaksOnlyTcp(target)) return;
    const message = `${describeTarget(target)} speaks tcp, which has connections, but no requests to limit`;
    this.#refuse(check, message, 'limit its streams with maxConnections');
  }

  #checkRoute(check: Check, route: RouteReference): void {
    this.#claim(check, describeRoute(route));
    checkRouteTarget(check, this, route, 'MW1372');
    if (this.#props.maxConnections !== undefined) {
      const message = 'a route has no connections of its own to limit';
      this.#refuse(check, message, 'limit the connections to the services that it leads to');
    }
  }

  #claim(check: Check, what: string): void {
    const owner = check.claim(`circuit breaker of ${what}`, this);
    if (owner) check.report('MW1374', this, `${owner.node.path} already limits ${what}`, 'keep one of the two');
  }

  #refuse(check: Check, message: string, hint: string): void {
    check.report('MW1372', this, message, hint);
  }
}
