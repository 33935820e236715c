import { ApiObject, type Duration, Lazy } from 'cdk8s';
import { Construct } from 'constructs';
import type { GrpcStatus } from '../runtime/model/index.ts';
import {
  apiVersions,
  type GrpcRouteMatch,
  type GrpcRouteObject,
  type GrpcRouteRule,
  type RetryPolicyObject,
} from '../runtime/resources/index.ts';
import type { IRouteTarget, IServiceOf, IServicePort, ITarget, RouteReference } from './interfaces.ts';
import { type GrpcCondition, Match } from './match.ts';
import { metadata, nameBelowMesh } from './metadata.ts';
import { backendsOf, renderBackends, renderHeaderFilters, renderMirror, renderValue } from './route-rendering.ts';
import type { RuleProps } from './route-rule.ts';
import { addRuleRetries, checkRuleRetries, labelOf } from './rule-retries.ts';
import type { Check, Checked } from './synth/check.ts';
import { formatDuration } from './synth/duration.ts';
import { checkRetry, checkStatuses } from './synth/retries.ts';
import { checkRoute } from './synth/route-rules.ts';

/** What a gRPC route can be attached to. */
export type GrpcRouteParent = IServicePort<'grpc'> | IServiceOf<'grpc'>;

/**
 * Repeats failed tries, within the retry budget of the target. Calls of gRPC are no idempotent requests: without
 * `statuses`, only what certainly was not processed is repeated.
 */
export interface GrpcRetryProps {
  /** Tries beyond the first. */
  readonly attempts: number;

  /**
   * How a call may end to be repeated, if it ended before it answered anything. Name them for methods that may be done
   * twice only: a server that says `UNAVAILABLE` can have done its work already.
   * @default - none
   */
  readonly statuses?: readonly GrpcStatus[];

  /**
   * Time before the first repetition; it doubles each time, with jitter.
   * @default - what the mesh uses: 25 ms
   */
  readonly backoff?: Duration;
}

/** A rule that sends calls on. */
export interface GrpcRule extends RuleProps<GrpcCondition> {
  /** Where calls go: one target, or several, each with its weight. */
  readonly to: ITarget | readonly ITarget[];

  /**
   * Whether failed tries are repeated.
   * @default - they are not
   */
  readonly retry?: GrpcRetryProps;
}

/** Where a route is in force, and its rules. */
export interface GrpcRouteProps {
  /** Whose calls it decides. Name a port where the service has ports of several protocols. */
  readonly parent: GrpcRouteParent;

  /** The most specific match wins; of equals, the first. */
  readonly rules: readonly GrpcRule[];
}

/**
 * Decides gRPC calls: where they go and how they are changed.
 *
 * @example
 * new GrpcRoute(shop, 'pricing', {
 *   parent: pricing,
 *   rules: [{ match: [GrpcMethod.is('shop.v1.Pricing', 'Quote')], to: pricing.version('v2') }],
 * });
 */
export class GrpcRoute extends Construct implements Checked, IRouteTarget {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:GrpcRoute';

  readonly #props: GrpcRouteProps;

  constructor(scope: Construct, id: string, props: GrpcRouteProps) {
    super(scope, id);
    this.#props = props;
    const spec: GrpcRouteObject['spec'] = {
      parentRefs: [props.parent._parent().ref],
      rules: Lazy.any({ produce: () => props.rules.map((rule, index) => this.#render(rule, index)) }),
    };
    new ApiObject(this, 'Resource', {
      apiVersion: apiVersions.gateway,
      kind: 'GRPCRoute',
      metadata: metadata(this, nameBelowMesh(this)),
      spec,
    });
    for (const [index, rule] of props.rules.entries()) {
      if (rule.retry) addRuleRetries(this, 'GRPCRoute', labelOf(rule, index), { retry: renderRetry(rule.retry) });
    }
  }

  /**
   * One of its rules, by name: for a policy that is about its requests alone.
   *
   * @example new CircuitBreakerPolicy(shop, 'few', { target: calls.rule('quotes'), maxRequests: 10 });
   */
  rule(name: string): IRouteTarget {
    return { _route: () => ({ ...this._route(), rule: name }) };
  }

  /** @internal */
  _route(): RouteReference {
    const ruleNames = this.#props.rules.flatMap(({ name }) => name ?? []);
    return { construct: this, kind: 'GRPCRoute', name: nameBelowMesh(this), ruleNames };
  }

  /** @internal */
  _check(check: Check): void {
    const { rules, parent } = this.#props;
    checkRoute(check, this, { kind: 'GRPCRoute', parent: parent._parent(), protocols: ['grpc'], rules });
    for (const [index, rule] of rules.entries()) {
      if (!rule.retry) continue;
      const { attempts, statuses, backoff } = rule.retry;
      const label = labelOf(rule, index);
      checkRuleRetries(check, this, label);
      checkRetry(check, this, label, { attempts, backoff });
      if (statuses) checkStatuses(check, this, label, statuses);
    }
  }

  #render(rule: GrpcRule, index: number): GrpcRouteRule {
    const { ports } = this.#props.parent._parent();
    const matches = Match._alternatives(rule.match).map(renderGrpcMatch);
    const matchesAll = matches.length === 1 && Object.keys(matches[0]).length === 0;
    const filters = [...renderHeaderFilters(rule), ...renderMirror(rule.mirror, ports)];
    return {
      ...((rule.name || rule.retry) && { name: labelOf(rule, index) }),
      ...(!matchesAll && { matches }),
      ...(filters.length && { filters }),
      backendRefs: renderBackends(backendsOf(rule.to), ports),
    };
  }
}

function renderRetry({ attempts, statuses, backoff }: GrpcRetryProps): RetryPolicyObject['spec']['retry'] {
  return {
    attempts,
    ...(statuses && { grpcStatuses: [...statuses] }),
    ...(backoff && { backoff: formatDuration(backoff) }),
  };
}

function renderGrpcMatch(conditions: readonly GrpcCondition[]): GrpcRouteMatch {
  const match: GrpcRouteMatch = {};
  for (const condition of conditions) {
    if (condition.kind === 'header') match.headers = [...(match.headers ?? []), renderValue(condition)];
    else match.method = { type: 'Exact', service: condition.service, method: condition.method };
  }
  return match;
}
