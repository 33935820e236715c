import { ApiObject, type Duration } from 'cdk8s';
import { Construct } from 'constructs';
import { timeLimits } from '../../runtime/model/index.ts';
import { apiVersions, type TimeoutPolicyObject } from '../../runtime/resources/index.ts';
import type { IPolicyTarget, IRouteTarget } from '../interfaces.ts';
import { metadata, nameBelowMesh } from '../metadata.ts';
import type { Check, Checked } from '../synth/check.ts';
import { formatDuration, isGatewayDuration } from '../synth/duration.ts';
import { reportLiteral } from '../synth/outputs.ts';
import {
  checkPolicyTarget,
  checkRouteTarget,
  claimPolicy,
  describeRoute,
  describeTarget,
  serviceOrRouteRef,
  speaksOnlyTcp,
} from './target-ref.ts';

type Spec = TimeoutPolicyObject['spec'];

/**
 * How long what may take. At least one limit must be stated. A duration of 0 is no limit, where another policy that holds
 * less nearly states one.
 */
export interface TimeoutPolicyProps {
  /**
   * What is called: a service, port or version; or the requests of a route, or of one of its rules
   * (`route.rule('split')`), wherever they go.
   */
  readonly target: IPolicyTarget | IRouteTarget;

  /**
   * Time from the first byte of a request to the last of its response, over all tries.
   * @default - what holds less nearly, else no limit
   */
  readonly request?: Duration;

  /**
   * Time for one try.
   * @default - what holds less nearly, else no limit
   */
  readonly backendRequest?: Duration;

  /**
   * Time in which nothing is sent in either direction, of a tunnel after an upgrade too.
   * @default - what holds less nearly, else what the Mesh says: 5 minutes, for tunnels 1 hour
   */
  readonly streamIdle?: Duration;

  /**
   * As `request`, but the tunnel after an upgrade is limited as well.
   * @default - what holds less nearly, else no limit
   */
  readonly maxStreamDuration?: Duration;
}

/**
 * How long requests to a service, or by a route, may take, for HTTP and gRPC alike. When the time is over the caller gets
 * 504, for gRPC `DEADLINE_EXCEEDED`; an answer that has begun is broken off. What a rule of a `Route` states itself wins.
 *
 * @example
 * new TimeoutPolicy(shop, 'quick', { target: pricing, request: Duration.seconds(2), streamIdle: Duration.seconds(30) });
 */
export class TimeoutPolicy extends Construct implements Checked {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:TimeoutPolicy';

  readonly #props: TimeoutPolicyProps;

  constructor(scope: Construct, id: string, props: TimeoutPolicyProps) {
    super(scope, id);
    this.#props = props;
    const stated = timeLimits.filter((limit) => props[limit] !== undefined);
    const spec: Spec = {
      targetRefs: [serviceOrRouteRef(props.target)],
      ...Object.fromEntries(stated.map((limit) => [limit, formatDuration(props[limit]!)])),
    };
    new ApiObject(this, 'Resource', {
      apiVersion: apiVersions.meshwright,
      kind: 'TimeoutPolicy',
      metadata: metadata(this, nameBelowMesh(this)),
      spec,
    });
  }

  /** @internal */
  _check(check: Check): void {
    const { target, request, backendRequest } = this.#props;
    claimPolicy(check, this, 'TimeoutPolicy');
    if (timeLimits.every((limit) => this.#props[limit] === undefined)) {
      this.#refuse(check, 'it limits nothing', `state ${timeLimits.join(', or ')}`);
    }
    for (const limit of timeLimits) this.#checkDuration(check, limit, this.#props[limit]);
    const [all, one] = [request, backendRequest].map((duration) => duration?.toMilliseconds({ integral: false }));
    if (all && one !== undefined && one > all) {
      const message = `one try may take ${one} ms, longer than all tries together (${all} ms)`;
      this.#refuse(check, message, 'make backendRequest at most as long as request');
    }
    if ('_route' in target) {
      const route = target._route();
      this.#claim(check, describeRoute(route));
      checkRouteTarget(check, this, route, 'MW1321');
      return;
    }
    checkPolicyTarget(check, this, target);
    this.#claim(check, describeTarget(target));
    if (!speaksOnlyTcp(target)) return;
    const message = `${describeTarget(target)} speaks tcp, which has no requests`;
    this.#refuse(check, message, 'limit its silence with tcpIdleTimeout of the Mesh');
  }

  #checkDuration(check: Check, what: string, duration: Duration | undefined): void {
    const length = duration?.toMilliseconds({ integral: false });
    if (length === undefined) return;
    if (Number.isNaN(length)) {
      reportLiteral(check, this, what);
      return;
    }
    if (isGatewayDuration(length)) return;
    const message = `${what} is ${length} ms; allowed are whole milliseconds up to 99999 hours, and 0 for no limit`;
    this.#refuse(check, message, 'use for example Duration.seconds(2)');
  }

  #claim(check: Check, what: string): void {
    const owner = check.claim(`timeouts of ${what}`, this);
    if (owner) check.report('MW1322', this, `${owner.node.path} already limits ${what}`, 'keep one of the two');
  }

  #refuse(check: Check, message: string, hint: string): void {
    check.report('MW1321', this, message, hint);
  }
}
