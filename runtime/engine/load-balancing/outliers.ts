import type { Clock, OutlierDetection, Random } from '../../model/index.ts';
import type { Outcome } from '../outcome.ts';
import type { Conduct, EndpointState } from './endpoint-state.ts';

/** Why an endpoint is left alone. */
export type EjectionReason =
  | 'consecutive-errors'
  | 'consecutive-gateway-errors'
  | 'failure-percentage'
  /** Its time was over, and the one request it was sent failed. */
  | 'probation';

/** An endpoint that is left alone. */
export interface Ejection {
  readonly state: EndpointState;
  readonly reason: EjectionReason;
  /** By the clock: from then on it is tried again. */
  readonly until: number;
  /** How many in a row. */
  readonly times: number;
}

/** For example `ejected after 5 errors in a row, for 30 s and longer, 50% of them at most`. */
export function describeDetection(settings: OutlierDetection): string {
  const { consecutiveErrors, consecutiveGatewayErrors, failurePercentage, baseEjectionTime } = settings;
  const causes = [
    consecutiveErrors !== undefined && `${consecutiveErrors} errors in a row`,
    consecutiveGatewayErrors !== undefined && `${consecutiveGatewayErrors} gateway errors in a row`,
    failurePercentage &&
      `${failurePercentage.threshold}% of at least ${failurePercentage.minRequests} requests failed in ${failurePercentage.interval / 1000} s`,
  ].filter(Boolean);
  const most = `${settings.maxEjectionPercent}% of them at most`;
  return `ejected after ${causes.join(', or ')}, for ${baseEjectionTime / 1000} s and longer, ${most}`;
}

/** Chance adds at most this share, so that endpoints that failed together do not come back together. */
const jitter = 0.1;

class EndpointRecord implements Conduct {
  readonly state: EndpointState;
  readonly #judge: (record: EndpointRecord, outcome: Outcome | undefined) => void;
  errors = 0;
  gatewayErrors = 0;
  /** Of the interval that began at `since`. */
  requests = 0;
  failures = 0;
  since: number;
  /** In a row: one is forgotten for each time in which it did well as long as the first ejection takes. */
  times = 0;
  admitted: number;
  ejection: Ejection | undefined;
  /** When it was last sent a request on probation that has not ended yet. */
  probed = Number.NEGATIVE_INFINITY;

  constructor(
    state: EndpointState,
    now: number,
    judge: (record: EndpointRecord, outcome: Outcome | undefined) => void,
  ) {
    this.state = state;
    this.since = now;
    this.admitted = now;
    this.#judge = judge;
  }

  record(outcome: Outcome | undefined): void {
    this.#judge(this, outcome);
  }

  forget(now: number): void {
    this.errors = 0;
    this.gatewayErrors = 0;
    this.requests = 0;
    this.failures = 0;
    this.since = now;
  }
}

/**
 * Ejects endpoints that fail. When the time of one is over it is on probation: the next request goes there, alone. If
 * it succeeds the endpoint is admitted, else it is ejected again, for longer. Never are more out than may be.
 */
export class OutlierDetector {
  readonly #settings: OutlierDetection;
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #onChange: (ejection?: Ejection) => void;
  #records = new Map<EndpointState, EndpointRecord>();
  #out: EndpointRecord[] = [];

  /** `onChange` hears of every ejection, and of endpoints that are admitted. */
  constructor(settings: OutlierDetection, random: Random, clock: Clock, onChange: (ejection?: Ejection) => void) {
    this.#settings = settings;
    this.#random = random;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Those that are left alone, those on probation included. */
  get ejections(): readonly Ejection[] {
    return this.#out.map(({ ejection }) => ejection!);
  }

  get isIdle(): boolean {
    return this.#out.length === 0;
  }

  isEjected(state: EndpointState): boolean {
    return this.#records.get(state)?.ejection !== undefined;
  }

  /** Takes new endpoints; of those that stay it keeps what it knows. Says nothing to `onChange`. */
  watch(states: readonly EndpointState[]): void {
    const now = this.#clock.now();
    this.#records = new Map(
      states.map((state) => {
        const record = this.#records.get(state) ?? new EndpointRecord(state, now, this.#judge);
        state.conduct = record;
        return [state, record];
      }),
    );
    this.#out = this.#out.filter(({ state }) => this.#records.has(state));
    // With fewer endpoints, fewer may be out: the first that would have come back do.
    this.#out.sort((a, b) => b.ejection!.until - a.ejection!.until);
    while (this.#out.length > this.#most) this.#release(this.#out.pop()!, now);
  }

  /**
   * The endpoint on probation that the next request is to go to, if there is one. Where a key decides, that is one only
   * if the request is `wanted` there.
   */
  probe(exclude: ReadonlySet<EndpointState> | undefined, wanted: EndpointState | undefined): EndpointState | undefined {
    const now = this.#clock.now();
    for (const record of this.#out) {
      const { state, ejection, probed } = record;
      if (now < ejection!.until || exclude?.has(state) || (wanted && wanted !== state)) continue;
      // What takes longer than an ejection has told enough.
      if (now - probed < this.#settings.baseEjectionTime) continue;
      record.probed = now;
      return state;
    }
    return undefined;
  }

  get #most(): number {
    return Math.floor((this.#records.size * this.#settings.maxEjectionPercent) / 100);
  }

  readonly #judge = (record: EndpointRecord, outcome: Outcome | undefined): void => {
    if (this.#records.get(record.state) !== record) return;
    const { ejection } = record;
    if (ejection) this.#judgeOnProbation(record, ejection, outcome);
    else if (outcome !== undefined) this.#judgeInService(record, outcome);
  };

  #judgeOnProbation(record: EndpointRecord, ejection: Ejection, outcome: Outcome | undefined): void {
    const now = this.#clock.now();
    // It was sent before the ejection.
    if (now < ejection.until) return;
    record.probed = Number.NEGATIVE_INFINITY;
    if (outcome === undefined) return;
    if (outcome === 'success') {
      this.#out = this.#out.filter((each) => each !== record);
      this.#release(record, now);
      this.#onChange();
    } else {
      this.#eject(record, 'probation', now);
    }
  }

  #judgeInService(record: EndpointRecord, outcome: Outcome): void {
    const { failurePercentage } = this.#settings;
    const now = this.#clock.now();
    if (failurePercentage) {
      if (now - record.since >= failurePercentage.interval) {
        record.requests = 0;
        record.failures = 0;
        record.since = now;
      }
      record.requests++;
    }
    if (outcome === 'success') {
      record.errors = 0;
      record.gatewayErrors = 0;
      return;
    }
    record.errors++;
    record.failures++;
    record.gatewayErrors = outcome === 'gateway-error' ? record.gatewayErrors + 1 : 0;
    const reason = this.#reasonToEject(record);
    if (!reason || this.#out.length >= this.#most) return;
    const wellFor = Math.floor((now - record.admitted) / this.#settings.baseEjectionTime);
    record.times = Math.max(0, record.times - wellFor);
    this.#out.push(record);
    this.#eject(record, reason, now);
  }

  #reasonToEject({ errors, gatewayErrors, requests, failures }: EndpointRecord): EjectionReason | undefined {
    const { consecutiveErrors, consecutiveGatewayErrors, failurePercentage } = this.#settings;
    if (consecutiveErrors !== undefined && errors >= consecutiveErrors) return 'consecutive-errors';
    if (consecutiveGatewayErrors !== undefined && gatewayErrors >= consecutiveGatewayErrors) {
      return 'consecutive-gateway-errors';
    }
    if (!failurePercentage || requests < failurePercentage.minRequests) return undefined;
    return failures * 100 >= failurePercentage.threshold * requests ? 'failure-percentage' : undefined;
  }

  #eject(record: EndpointRecord, reason: EjectionReason, now: number): void {
    const { baseEjectionTime, maxEjectionTime } = this.#settings;
    record.times++;
    record.forget(now);
    const time = Math.min(baseEjectionTime * record.times, maxEjectionTime);
    const until = now + time * (1 + jitter * this.#random());
    record.ejection = { state: record.state, reason, until, times: record.times };
    this.#onChange(record.ejection);
  }

  #release(record: EndpointRecord, now: number): void {
    record.ejection = undefined;
    record.admitted = now;
    record.forget(now);
    // As a new one it warms up, where that is asked for.
    record.state.since = now;
  }
}
