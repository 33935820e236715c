import { ApiObject, type Duration } from 'cdk8s';
import { Construct } from 'constructs';
import { apiVersions, type RateLimitPolicyObject } from '../../runtime/resources/index.ts';
import type { IPolicyTarget } from '../interfaces.ts';
import { metadata, nameBelowMesh } from '../metadata.ts';
import type { Check, Checked } from '../synth/check.ts';
import { checkDuration, formatDuration } from '../synth/duration.ts';
import { checkHeaderName, checkRuleNames } from '../synth/rules.ts';
import { checkOperations, type Operation, renderOperations } from './operation.ts';
import { checkPolicyTarget, claimPolicy, isCount, speaksOnlyTcp, targetRef } from './target-ref.ts';

/** How much, of what. */
export interface RateLimitProps {
  /**
   * What decisions, logs and the RateLimit header fields call the limit.
   * @default - its position in the policy: `limit-0`
   */
  readonly name?: string;

  /** How many requests in an interval; on a TCP port, new connections. */
  readonly requests: number;

  /** They are given back evenly over it: 60 in a minute is one a second. */
  readonly interval: Duration;

  /**
   * How many at one moment, after a quiet time.
   * @default - as many as `requests`
   */
  readonly burst?: number;

  /**
   * What is counted; one of them must match.
   * @default - every operation
   */
  readonly to?: readonly Operation[];
}

const most = 1_000_000_000;

type Limit = RateLimitPolicyObject['spec']['limits'][number];

/** One limit of a rate limit policy. */
export class RateLimit {
  /**
   * All requests together.
   *
   * @example RateLimit.total({ requests: 100, interval: Duration.seconds(1) })
   */
  static total(limit: RateLimitProps): RateLimit {
    return new RateLimit(undefined, limit);
  }

  /**
   * The requests of each caller, told apart by identity. Callers without one are counted together.
   *
   * @example RateLimit.perCaller({ requests: 10, interval: Duration.seconds(1), burst: 20 })
   */
  static perCaller(limit: RateLimitProps): RateLimit {
    return new RateLimit({ caller: true }, limit);
  }

  /**
   * The requests of each value of a header. Requests without it are counted together.
   *
   * @example RateLimit.perHeader('x-api-key', { requests: 60, interval: Duration.minutes(1) })
   */
  static perHeader(name: string, limit: RateLimitProps): RateLimit {
    return new RateLimit({ header: name.toLowerCase() }, limit);
  }

  /** What is counted apart; absent for everything together. */
  readonly key: Limit['key'];
  readonly limit: RateLimitProps;

  private constructor(key: Limit['key'], limit: RateLimitProps) {
    this.key = key;
    this.limit = limit;
  }
}

/** What is limited, and how. */
export interface RateLimitPolicyProps {
  /** The service, port or version that is protected. */
  readonly target: IPolicyTarget;
  /** All of those that count a request must let it through. */
  readonly limits: readonly RateLimit[];

  /**
   * Which answers tell of the limits that counted the request, and what is left of them, in the fields `RateLimit-Policy`
   * and `RateLimit`.
   * @default 'on-refusal'
   */
  readonly headers?: 'on-refusal' | 'always';
}

/**
 * How much each process of a service takes. What is beyond is answered 429, with the time after which to come again;
 * on TCP ports the connection is closed. Requests that access policy denies are not counted.
 *
 * @example
 * new RateLimitPolicy(shop, 'cart-limits', {
 *   target: cart,
 *   limits: [RateLimit.perCaller({ requests: 10, interval: Duration.seconds(1) })],
 * });
 */
export class RateLimitPolicy extends Construct implements Checked {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:RateLimitPolicy';

  readonly #props: RateLimitPolicyProps;

  constructor(scope: Construct, id: string, props: RateLimitPolicyProps) {
    super(scope, id);
    this.#props = props;
    const spec: RateLimitPolicyObject['spec'] = {
      targetRefs: [targetRef(props.target)],
      limits: props.limits.map(render),
      ...(props.headers && { headers: props.headers === 'always' ? 'Always' : 'OnRefusal' }),
    };
    new ApiObject(this, 'Resource', {
      apiVersion: apiVersions.meshwright,
      kind: 'RateLimitPolicy',
      metadata: metadata(this, nameBelowMesh(this)),
      spec,
    });
  }

  /** @internal */
  _check(check: Check): void {
    const { target, limits } = this.#props;
    claimPolicy(check, this, 'RateLimitPolicy');
    checkPolicyTarget(check, this, target);
    if (limits.length === 0) {
      check.report('MW1340', this, 'it has no limits', 'state how much is let through: RateLimit.total({ ... })');
    }
    const names = limits.map(({ limit }) => limit.name);
    checkRuleNames(check, this, names);
    for (const [index, limit] of limits.entries()) this.#checkLimit(check, limit, names[index] ?? `limit-${index}`);
  }

  #checkLimit(check: Check, { key, limit }: RateLimit, place: string): void {
    const { requests, interval, burst, to } = limit;
    this.#checkCount(check, `${place}: requests`, requests);
    if (burst !== undefined) this.#checkCount(check, `${place}: burst`, burst);
    checkDuration(check, this, `${place}: interval`, interval);
    if (key?.header !== undefined) {
      checkHeaderName(check, this, place, key.header);
      const { target } = this.#props;
      if (speaksOnlyTcp(target)) {
        check.report(
          'MW1340',
          this,
          `${place}: ${target._backend().service.serviceName} speaks tcp, which has no headers`,
          'count connections with RateLimit.total or RateLimit.perCaller',
        );
      }
    }
    checkOperations(check, this, place, this.#props.target, to);
  }

  #checkCount(check: Check, what: string, count: number): void {
    if (isCount(count, most)) return;
    const message = `${what} is ${count}; allowed are whole numbers from 1 to ${most}`;
    check.report('MW1340', this, message, 'state how many are let through');
  }
}

function render({ key, limit }: RateLimit, index: number): Limit {
  const { name = `limit-${index}`, requests, interval, burst, to } = limit;
  return {
    name,
    requests,
    interval: formatDuration(interval),
    ...(burst !== undefined && { burst }),
    ...(key && { key }),
    ...(to && { to: renderOperations(to) }),
  };
}
