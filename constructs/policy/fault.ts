import { ApiObject, type Duration } from 'cdk8s';
import { Construct } from 'constructs';
import type { GrpcStatus } from '../../runtime/model/index.ts';
import { apiVersions, type FaultPolicyObject } from '../../runtime/resources/index.ts';
import type { IPolicyTarget } from '../interfaces.ts';
import type { Header } from '../match.ts';
import { metadata, nameBelowMesh } from '../metadata.ts';
import { isUnknown } from '../placeholder.ts';
import { renderValue } from '../route-rendering.ts';
import type { Check, Checked } from '../synth/check.ts';
import { checkDuration, formatDuration } from '../synth/duration.ts';
import { checkConditions } from '../synth/match-rules.ts';
import { checkRuleNames } from '../synth/rules.ts';
import { checkPolicyTarget, claimPolicy, speaksOnlyTcp, targetRef } from './target-ref.ts';

/** Which tries meet a fault. */
export interface FaultProps {
  /**
   * What decisions, logs and metrics call the fault.
   * @default - its position in the policy: `fault-0`
   */
  readonly name?: string;

  /**
   * Share of the matching tries that meet it, 0 to 100.
   * @default 100
   */
  readonly percent?: number;

  /**
   * The headers that ask for it; all must hold.
   * @default - every request matches
   */
  readonly match?: readonly Header[];
}

/** How fast bodies pass, in bytes a second. */
export interface BandwidthProps {
  /** @default - as fast as they come */
  readonly request?: number;
  /** @default - as fast as they come */
  readonly response?: number;
}

/** An abort, and which tries meet it. */
export interface AbortProps extends FaultProps {
  /**
   * How long the answer takes.
   * @default - it comes at once
   */
  readonly after?: Duration;
}

type FaultSpec = FaultPolicyObject['spec']['faults'][number];

/** One fault of a fault policy. */
export class Fault {
  /**
   * The request goes on after this time.
   *
   * @example Fault.delay(Duration.millis(500), { percent: 10 })
   */
  static delay(time: Duration, props: FaultProps = {}): Fault {
    return new Fault(props, time);
  }

  /**
   * The service seems to answer with this status.
   *
   * @example Fault.abort(503, { match: [Header.is('x-fault', 'ratings-down')] })
   */
  static abort(status: number, { after, ...props }: AbortProps = {}): Fault {
    return new Fault(props, after, { httpStatus: status });
  }

  /**
   * The service seems to answer with this gRPC status. For ports that speak gRPC.
   *
   * @example Fault.grpcAbort('UNAVAILABLE', { percent: 5 })
   */
  static grpcAbort(status: GrpcStatus, { after, ...props }: AbortProps = {}): Fault {
    return new Fault(props, after, { grpcStatus: status });
  }

  /**
   * The bodies of the request, or of the response, pass slowly; `after` delays the request besides.
   *
   * @example Fault.bandwidth({ response: 10_000 }, { percent: 5 })
   */
  static bandwidth(bandwidth: BandwidthProps, { after, ...props }: AbortProps = {}): Fault {
    return new Fault(props, after, undefined, bandwidth);
  }

  readonly props: FaultProps;
  readonly after: Duration | undefined;
  /** The answer; absent where the service gives its own. */
  readonly answer: FaultSpec['abort'];
  /** How fast bodies pass; absent where they are not slowed down. */
  readonly rates: BandwidthProps | undefined;

  private constructor(
    props: FaultProps,
    after: Duration | undefined,
    answer?: FaultSpec['abort'],
    rates?: BandwidthProps,
  ) {
    this.props = props;
    this.after = after;
    this.answer = answer;
    this.rates = rates;
  }
}

/** Where things go wrong, and how. */
export interface FaultPolicyProps {
  /** The service, port or version that seems to fail. */
  readonly target: IPolicyTarget;
  /** A try meets one of them at most. Of those that match, each has its share, in this order. */
  readonly faults: readonly Fault[];
}

/**
 * What goes wrong on purpose where a service is called. The caller's sidecar does it, and the rules of its route see
 * it as a fault of the service: their time limits count the delay, and their retries repeat what was aborted.
 *
 * @example
 * new FaultPolicy(shop, 'trouble', {
 *   target: ratings,
 *   faults: [Fault.abort(503, { match: [Header.is('x-fault', 'ratings-down')] })],
 * });
 */
export class FaultPolicy extends Construct implements Checked {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:FaultPolicy';

  readonly #props: FaultPolicyProps;

  constructor(scope: Construct, id: string, props: FaultPolicyProps) {
    super(scope, id);
    this.#props = props;
    const spec: FaultPolicyObject['spec'] = {
      targetRefs: [targetRef(props.target)],
      faults: props.faults.map(render),
    };
    new ApiObject(this, 'Resource', {
      apiVersion: apiVersions.meshwright,
      kind: 'FaultPolicy',
      metadata: metadata(this, nameBelowMesh(this)),
      spec,
    });
  }

  /** @internal */
  _check(check: Check): void {
    const { target, faults } = this.#props;
    claimPolicy(check, this, 'FaultPolicy');
    checkPolicyTarget(check, this, target);
    if (faults.length === 0) {
      check.report('MW1341', this, 'it has no faults', 'state what goes wrong: Fault.delay(...) or Fault.abort(...)');
    }
    const { serviceName } = target._backend().service;
    if (speaksOnlyTcp(target)) {
      const message = `${serviceName} speaks tcp, but faults hold for requests`;
      check.report('MW1341', this, message, 'attach it to a service that speaks http or grpc');
    }
    const names = faults.map(({ props }) => props.name);
    checkRuleNames(check, this, names);
    for (const [index, fault] of faults.entries()) this.#checkFault(check, fault, names[index] ?? `fault-${index}`);
  }

  #checkFault(check: Check, { props, after, answer, rates }: Fault, place: string): void {
    const { percent = 100, match = [] } = props;
    if (!(percent >= 0 && percent <= 100) && !isUnknown(percent)) {
      const message = `${place}: percent is ${percent}; allowed are numbers from 0 to 100`;
      check.report('MW1341', this, message, 'state the share of the tries that meet the fault');
    }
    if (rates) this.#checkRates(check, rates, place);
    if (after) checkDuration(check, this, `${place}: the delay`, after);
    const status = answer?.httpStatus;
    if (status !== undefined && !(Number.isInteger(status) && status >= 400 && status <= 599) && !isUnknown(status)) {
      const message = `${place}: status ${status} is no failure; allowed are whole numbers from 400 to 599`;
      check.report('MW1341', this, message, 'use for example 503');
    }
    if (answer?.grpcStatus !== undefined) this.#checkSpeaksGrpc(check, place);
    checkConditions(check, this, place, match);
  }

  #checkRates(check: Check, rates: BandwidthProps, place: string): void {
    const given = Object.entries(rates).filter(([, rate]) => rate !== undefined);
    if (given.length === 0) {
      check.report('MW1341', this, `${place}: it slows nothing down`, 'state the bytes a second: { response: 10_000 }');
    }
    for (const [name, rate] of given) {
      if (isUnknown(rate) || (Number.isInteger(rate) && rate >= 1 && rate <= fastest)) continue;
      const message = `${place}: ${name} is ${rate} bytes a second; allowed are whole numbers from 1 to ${fastest}`;
      check.report('MW1341', this, message, 'state the bytes a second');
    }
  }

  #checkSpeaksGrpc(check: Check, place: string): void {
    const { service, port } = this.#props.target._backend();
    const other = (port ? [port] : Object.values(service.ports)).find(({ protocol }) => protocol !== 'grpc');
    if (!other) return;
    const message = `${place}: a gRPC status is for ports that speak grpc; ${other.name} of ${service.serviceName} speaks ${other.protocol}`;
    check.report('MW1341', this, message, 'attach it to the grpc port, or use Fault.abort');
  }
}

const fastest = 1_000_000_000;

function render({ props, after, answer, rates }: Fault, index: number): FaultSpec {
  const { name = `fault-${index}`, percent, match } = props;
  return {
    name,
    ...(percent !== undefined && { percent }),
    ...(match && { headers: match.map(renderValue) }),
    ...(after && { delay: formatDuration(after) }),
    ...(answer && { abort: answer }),
    ...(rates && { bandwidth: { ...rates } }),
  };
}
