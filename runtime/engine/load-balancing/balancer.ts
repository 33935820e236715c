import type { Balancer, Clock, Endpoint, OutlierDetection, Random } from '../../model/index.ts';
import { createState, type EndpointState, endpointKey } from './endpoint-state.ts';
import { maglev, ringHash } from './hashing.ts';
import { type Ejection, OutlierDetector } from './outliers.ts';
import type { Algorithm, Picker, Shares } from './picker.ts';
import { returning } from './sessions.ts';
import { slowStart } from './slow-start.ts';
import { leastRequest, peakEwma, randomChoice, roundRobin } from './spreading.ts';
import { preferZone } from './zones.ts';

/** Chooses among the endpoints of a service. */
export interface LoadBalancer {
  /** Those that are chosen from, those that are ejected for a while included. */
  readonly endpoints: readonly EndpointState[];
  /** Whether so few endpoints are ready, or not ejected, that the others are chosen as well. */
  readonly panicking: boolean;
  /** Those that are left alone as they fail. */
  readonly ejections: readonly Ejection[];
  /** Takes new endpoints; those that stay keep what is known of them. */
  update(endpoints: readonly Endpoint[]): void;
  /** The endpoint for the next request; `undefined` when none is left beside the excluded ones. */
  pick(exclude?: ReadonlySet<EndpointState>, key?: string): EndpointState | undefined;
  /** What `pick` comes to over many requests with this key, when all endpoints answer alike and none is new. */
  shares(key?: string): Shares;
}

export interface BalancerOptions {
  /** Where the caller runs, if that is known. */
  readonly zone?: string;
  /** Absent: no endpoint is ever ejected. */
  readonly outlierDetection?: OutlierDetection;
  readonly onEjected?: (ejection: Ejection) => void;
}

export function createBalancer(
  balancer: Balancer,
  random: Random,
  clock: Clock,
  { zone, outlierDetection, onEjected }: BalancerOptions = {},
): LoadBalancer {
  const usual = compose(balancer, random, clock, zone);
  // With that little left, distance does not count.
  const inPanic = compose(balancer, random, clock, undefined);
  const { panicThreshold = 0 } = balancer;
  const outliers =
    outlierDetection &&
    new OutlierDetector(outlierDetection, random, clock, (ejection) => {
      choose();
      if (ejection) onEjected?.(ejection);
    });
  let states = new Map<string, EndpointState>();
  let list: readonly EndpointState[] = [];
  /** Those that are not ready included. */
  let total = 0;
  let tooFewReady = false;
  let panicking = false;
  let picker: Picker = usual(list);
  /** Chooses as if nobody were ejected. */
  let everyone: Picker | undefined;

  function choose(): void {
    const open = outliers && !outliers.isIdle ? list.filter((state) => !outliers.isEjected(state)) : list;
    panicking = tooFewReady || open.length * 100 < panicThreshold * total;
    picker = (panicking ? inPanic : usual)(panicking ? list : open);
    everyone = undefined;
  }

  function pickAround(detector: OutlierDetector, exclude: ReadonlySet<EndpointState> | undefined, key?: string) {
    let wanted: EndpointState | undefined;
    if (key !== undefined) {
      everyone ??= usual(list);
      wanted = everyone.pick(key, exclude);
    }
    return detector.probe(exclude, wanted) ?? picker.pick(key, exclude);
  }

  return {
    get endpoints() {
      return list;
    },
    get panicking() {
      return panicking;
    },
    get ejections() {
      return outliers?.ejections ?? [];
    },
    update(endpoints) {
      const ready = endpoints.filter(({ unready }) => !unready);
      total = endpoints.length;
      tooFewReady = ready.length * 100 < panicThreshold * total;
      const since = states.size === 0 ? Number.NEGATIVE_INFINITY : clock.now();
      states = new Map(
        (tooFewReady ? endpoints : ready).map((endpoint) => {
          const key = endpointKey(endpoint);
          const state = states.get(key) ?? createState(endpoint, key, since, clock);
          state.endpoint = endpoint;
          return [key, state];
        }),
      );
      list = [...states.values()];
      outliers?.watch(list);
      choose();
    },
    pick(exclude, key) {
      if (!outliers || outliers.isIdle || panicking) return picker.pick(key, exclude);
      return pickAround(outliers, exclude, key);
    },
    shares: (key) => picker.shares(key),
  };
}

function compose(balancer: Balancer, random: Random, clock: Clock, zone: string | undefined): Algorithm {
  switch (balancer.kind) {
    case 'ring-hash':
      return ringHash(peakEwma(random, clock));
    case 'maglev':
      return maglev(peakEwma(random, clock));
  }
  const { kind, session, preferSameZone } = balancer;
  let algorithm = spreading[kind](random, clock);
  if (balancer.slowStart) algorithm = slowStart(algorithm, balancer.slowStart, random, clock);
  if (preferSameZone && zone !== undefined) algorithm = preferZone(algorithm, preferSameZone, zone, random);
  return session ? returning(algorithm) : algorithm;
}

const spreading = {
  'round-robin': roundRobin,
  random: randomChoice,
  'least-request': leastRequest,
  'peak-ewma': peakEwma,
} as const;
