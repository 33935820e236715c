import type { Clock, Endpoint } from '../../model/index.ts';
import type { Outcome } from '../outcome.ts';
import { hash32 } from './hash.ts';

/** What an endpoint does, as far as tries tell. */
export interface Conduct {
  /** Takes what a try said; `undefined` where it said nothing, as its caller gave up. */
  record(outcome: Outcome | undefined): void;
}

/** An endpoint with what is known of its load. */
export interface EndpointState {
  endpoint: Endpoint;
  /** A hash of what it is, the same in every proxy. */
  readonly id: string;
  /** When it came, or came back from an ejection, by the clock; minus infinity for those that were there first. */
  since: number;
  /** Requests under way; the caller counts them. */
  active: number;
  /** What outlier detection hears of; absent where there is none. */
  conduct: Conduct | undefined;
  /** Tells how long a response took, in milliseconds. A failure counts as a long one, so that failing fast attracts nothing. */
  observe(latency: number, failed?: boolean): void;
  /** What one more request is expected to wait for: peak-EWMA latency times the requests in line. `now` is of the clock. */
  load(now: number): number;
}

/** Endpoints of one machine differ by their ports only; a new identity is a new endpoint. */
export function endpointKey({ address, ports, identity, plainPorts }: Endpoint): string {
  return JSON.stringify([address, identity, Object.entries(ports).sort(), ...(plainPorts ? [plainPorts] : [])]);
}

/** Milliseconds after which an observation has lost two thirds of its weight. */
const decay = 10_000;
/** What a failure counts for at least, doubled with each that follows: others may take longer than this to succeed. */
const failureLatency = 1000;
const maxDoublings = 4;
/** Expected of an endpoint that has not answered yet and is busy: it gets one request to begin with. */
const unknownLatency = 1000;

export function createState(endpoint: Endpoint, key: string, since: number, clock: Clock): EndpointState {
  let latency: number | undefined;
  let observed = clock.now();
  /** Since the last success. */
  let failures = 0;

  /** The average forgets, so that an endpoint that was slow once is tried again. */
  function weight(now: number) {
    return Math.exp((observed - now) / decay);
  }

  return {
    endpoint,
    id: hash32(key, 1).toString(36) + hash32(key, 2).toString(36).padStart(7, '0'),
    since,
    active: 0,
    conduct: undefined,
    observe(sample, failed = false) {
      const cost = failed ? Math.max(sample, failureLatency * 2 ** Math.min(failures, maxDoublings)) : sample;
      failures = failed ? failures + 1 : 0;
      const now = clock.now();
      const kept = weight(now);
      latency = latency === undefined ? cost : Math.max(cost, latency * kept + cost * (1 - kept));
      observed = now;
    },
    load(now) {
      return latency === undefined ? unknownLatency * this.active : latency * weight(now) * (this.active + 1);
    },
  };
}
