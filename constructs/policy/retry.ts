import { ApiObject, type Duration } from 'cdk8s';
import { Construct } from 'constructs';
import { apiVersions, type RetryPolicyObject } from '../../runtime/resources/index.ts';
import type { IPolicyTarget } from '../interfaces.ts';
import { metadata, nameBelowMesh } from '../metadata.ts';
import { isUnknown } from '../placeholder.ts';
import type { Check, Checked } from '../synth/check.ts';
import { formatDuration } from '../synth/duration.ts';
import { reportLiteral } from '../synth/outputs.ts';
import { checkPolicyTarget, claimPolicy, targetRef } from './target-ref.ts';

/** Whose callers may repeat how much. What either the budget or the minimum allows is allowed. */
export interface RetryPolicyProps {
  /** The service or version that the repetitions go to. */
  readonly target: IPolicyTarget;

  /**
   * The share of its requests that may be repetitions.
   * @default - 20% of the requests of the last 10 seconds
   */
  readonly budget?: {
    /**
     * Whole percent, 0 to 100.
     * @default 20
     */
    readonly percent?: number;
    /**
     * In which requests are counted; 1 second to 1 hour.
     * @default Duration.seconds(10)
     */
    readonly interval?: Duration;
  };

  /**
   * Repetitions that are allowed however few requests there are.
   * @default - 10 in a second
   */
  readonly minRetryRate?: {
    /** @default 10 */
    readonly count?: number;
    /**
     * At most 1 hour.
     * @default Duration.seconds(1)
     */
    readonly interval?: Duration;
  };
}

type RetryConstraint = NonNullable<RetryPolicyObject['spec']['retryConstraint']>;

/**
 * How many of the requests to a service may be repetitions, so that retries do not multiply the load of one that is
 * failing. Each proxy that calls keeps to it by itself. Which tries are repeated is said by the rules of routes.
 *
 * @example
 * new RetryPolicy(shop, 'ratings-retries', { target: ratings, budget: { percent: 10 } });
 */
export class RetryPolicy extends Construct implements Checked {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:RetryPolicy';

  readonly #props: RetryPolicyProps;

  constructor(scope: Construct, id: string, props: RetryPolicyProps) {
    super(scope, id);
    this.#props = props;
    const { group, name } = targetRef(props.target);
    const spec: RetryPolicyObject['spec'] = {
      targetRefs: [{ group, kind: 'Service', name }],
      retryConstraint: render(props),
    };
    new ApiObject(this, 'Resource', {
      apiVersion: apiVersions.meshwright,
      kind: 'RetryPolicy',
      metadata: metadata(this, nameBelowMesh(this)),
      spec,
    });
  }

  /** @internal */
  _check(check: Check): void {
    const { target, budget, minRetryRate } = this.#props;
    claimPolicy(check, this, 'RetryPolicy');
    checkPolicyTarget(check, this, target);
    const { service, name, port } = target._backend();
    if (port)
      this.#refuse(check, `a budget is for all ports of ${name}, not for ${port.name} alone`, 'name the service');
    const owner = check.claim(`retry budget of ${service.namespace}/${name}`, this);
    if (owner) this.#refuse(check, `${owner.node.path} already says it for ${name}`, 'keep one of the two');
    this.#checkInteger(check, 'budget.percent', budget?.percent, 0, 100);
    this.#checkInteger(check, 'minRetryRate.count', minRetryRate?.count, 1, 1_000_000);
    this.#checkInterval(check, 'budget.interval', budget?.interval, 1000);
    this.#checkInterval(check, 'minRetryRate.interval', minRetryRate?.interval, 1);
  }

  #checkInteger(check: Check, what: string, value: number | undefined, least: number, most: number): void {
    if (value === undefined || isUnknown(value)) return;
    if (Number.isInteger(value) && value >= least && value <= most) return;
    this.#refuse(
      check,
      `${what} is ${value}; allowed are whole numbers from ${least} to ${most}`,
      'correct the number',
    );
  }

  #checkInterval(check: Check, what: string, value: Duration | undefined, least: number): void {
    const length = value?.toMilliseconds({ integral: false });
    if (length === undefined) return;
    if (Number.isNaN(length)) {
      reportLiteral(check, this, what);
      return;
    }
    if (Number.isInteger(length) && length >= least && length <= longest) return;
    this.#refuse(check, `${what} is ${length} ms; allowed are ${least} ms to 1 hour`, 'use Duration.seconds(10)');
  }

  #refuse(check: Check, message: string, hint: string): void {
    check.report('MW1390', this, message, hint);
  }
}

const longest = 3_600_000;

function render({ budget, minRetryRate }: RetryPolicyProps): RetryConstraint {
  const interval = (length: Duration | undefined) => length && { interval: formatDuration(length) };
  return {
    ...(budget && {
      budget: { ...(budget.percent !== undefined && { percent: budget.percent }), ...interval(budget.interval) },
    }),
    ...(minRetryRate && {
      minRetryRate: {
        ...(minRetryRate.count !== undefined && { count: minRetryRate.count }),
        ...interval(minRetryRate.interval),
      },
    }),
  };
}
