import { ApiObject, Duration } from 'cdk8s';
import { Construct } from 'constructs';
import { apiVersions, type OutlierDetectionPolicyObject } from '../../runtime/resources/index.ts';
import type { IPolicyTarget } from '../interfaces.ts';
import { metadata, nameBelowMesh } from '../metadata.ts';
import type { Check, Checked } from '../synth/check.ts';
import { formatDuration } from '../synth/duration.ts';
import { reportLiteral } from '../synth/outputs.ts';
import { checkPolicyTarget, claimPolicy, describeTarget, isCount, targetRef } from './target-ref.ts';

/** A share of failures within an interval. */
export interface FailurePercentageProps {
  /** Percent of failures that is too much, 1 to 100. */
  readonly threshold: number;

  /**
   * With fewer requests in the interval, nothing is said of an endpoint.
   * @default 20
   */
  readonly minRequests?: number;

  /**
   * In which requests are counted; 1 second to 1 hour.
   * @default Duration.seconds(10)
   */
  readonly interval?: Duration;
}

/** Whose endpoints are judged, and how. At least one of the first three conditions must be stated. */
export interface OutlierDetectionPolicyProps {
  /** The service, port or version that is called. */
  readonly target: IPolicyTarget;

  /**
   * So many failures in a row: statuses 5xx, connections that are refused or break, tries that take too long.
   * @default - they are not counted
   */
  readonly consecutive5xxErrors?: number;

  /**
   * So many failures in a row that tell of an endpoint which cannot be reached: 502, 503, 504, connections that are
   * refused or break, tries that take too long.
   * @default - they are not counted
   */
  readonly consecutiveGatewayErrors?: number;

  /**
   * A share of failures within an interval.
   * @default - it does not matter
   */
  readonly failurePercentage?: FailurePercentageProps;

  /**
   * Of the first ejection; the nth in a row takes n times as long. 1 second to 1 hour.
   * @default Duration.seconds(30)
   */
  readonly baseEjectionTime?: Duration;

  /**
   * No ejection takes longer, but for the tenth that chance may add. At most 24 hours.
   * @default - 5 minutes, or baseEjectionTime where that is longer
   */
  readonly maxEjectionTime?: Duration;

  /**
   * The part of the endpoints that may be ejected at once, 1 to 100, rounded down: of a single endpoint none ever is.
   * @default 50
   */
  readonly maxEjectionPercent?: number;
}

const most = 1_000_000;
const [second, hour, day] = [Duration.seconds(1), Duration.hours(1), Duration.hours(24)];

/**
 * When callers of a service leave one of its endpoints alone for a while, as it fails. Each caller's proxy judges by
 * what it sees itself. When the time is over, one request goes there; if it succeeds, all is as before.
 *
 * @example
 * new OutlierDetectionPolicy(shop, 'reviews-outliers', { target: reviews, consecutive5xxErrors: 5 });
 */
export class OutlierDetectionPolicy extends Construct implements Checked {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:OutlierDetectionPolicy';

  readonly #props: OutlierDetectionPolicyProps;

  constructor(scope: Construct, id: string, props: OutlierDetectionPolicyProps) {
    super(scope, id);
    this.#props = props;
    const { target, failurePercentage, baseEjectionTime, maxEjectionTime, ...numbers } = props;
    const spec: OutlierDetectionPolicyObject['spec'] = {
      targetRefs: [targetRef(target)],
      ...numbers,
      ...(failurePercentage && {
        failurePercentage: {
          ...failurePercentage,
          interval: failurePercentage.interval && formatDuration(failurePercentage.interval),
        },
      }),
      ...(baseEjectionTime && { baseEjectionTime: formatDuration(baseEjectionTime) }),
      ...(maxEjectionTime && { maxEjectionTime: formatDuration(maxEjectionTime) }),
    };
    new ApiObject(this, 'Resource', {
      apiVersion: apiVersions.meshwright,
      kind: 'OutlierDetectionPolicy',
      metadata: metadata(this, nameBelowMesh(this)),
      spec,
    });
  }

  /** @internal */
  _check(check: Check): void {
    const { target, consecutive5xxErrors, consecutiveGatewayErrors, failurePercentage, ...props } = this.#props;
    claimPolicy(check, this, 'OutlierDetectionPolicy');
    checkPolicyTarget(check, this, target);
    const what = describeTarget(target);
    const owner = check.claim(`outlier detection of ${what}`, this);
    if (owner) {
      const message = `${owner.node.path} already judges the endpoints of ${what}`;
      check.report('MW1374', this, message, 'keep one of the two');
    }
    if ((consecutive5xxErrors ?? consecutiveGatewayErrors ?? failurePercentage) === undefined) {
      const hint = 'state consecutive5xxErrors, consecutiveGatewayErrors or failurePercentage';
      check.report('MW1373', this, 'it says nothing of when an endpoint is ejected', hint);
    }
    this.#checkCount(check, 'consecutive5xxErrors', consecutive5xxErrors, most);
    this.#checkCount(check, 'consecutiveGatewayErrors', consecutiveGatewayErrors, most);
    this.#checkCount(check, 'failurePercentage.threshold', failurePercentage?.threshold, 100);
    this.#checkCount(check, 'failurePercentage.minRequests', failurePercentage?.minRequests, most);
    this.#checkTime(check, 'failurePercentage.interval', failurePercentage?.interval, second, hour);
    this.#checkTime(check, 'baseEjectionTime', props.baseEjectionTime, second, hour);
    this.#checkTime(
      check,
      'maxEjectionTime',
      props.maxEjectionTime,
      props.baseEjectionTime ?? Duration.seconds(30),
      day,
    );
    this.#checkCount(check, 'maxEjectionPercent', props.maxEjectionPercent, 100);
  }

  #checkCount(check: Check, what: string, value: number | undefined, limit: number): void {
    if (value === undefined || isCount(value, limit)) return;
    const message = `${what} is ${value}; allowed are whole numbers from 1 to ${limit}`;
    check.report('MW1373', this, message, 'correct the number');
  }

  #checkTime(check: Check, what: string, value: Duration | undefined, least: Duration, longest: Duration): void {
    if (!value) return;
    const [time, from, to] = [value, least, longest].map((each) => each.toMilliseconds({ integral: false }));
    if (Number.isNaN(time)) reportLiteral(check, this, what);
    else if (!Number.isInteger(time) || time < from || time > to) {
      const message = `${what} is ${time} ms; allowed are whole milliseconds from ${from} ms to ${to} ms`;
      check.report('MW1373', this, message, 'correct the duration, for example Duration.seconds(30)');
    }
  }
}
