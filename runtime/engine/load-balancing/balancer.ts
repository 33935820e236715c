import type { Balancer, Clock, Endpoint, Random } from '../../model/index.ts';
import { createState, type EndpointState, endpointKey } from './endpoint-state.ts';
import { maglev, ringHash } from './hashing.ts';
import type { Algorithm, Picker, Shares } from './picker.ts';
import { returning } from './sessions.ts';
import { slowStart } from './slow-start.ts';
import { leastRequest, peakEwma, randomChoice, roundRobin } from './spreading.ts';
import { preferZone } from './zones.ts';

/** Chooses among the endpoints of a service. */
export interface LoadBalancer {
  /** Those that are chosen from. */
  readonly endpoints: readonly EndpointState[];
  /** Whether so few endpoints are ready that those that are not are chosen as well. */
  readonly panicking: boolean;
  /** Takes new endpoints; those that stay keep what is known of them. */
  update(endpoints: readonly Endpoint[]): void;
  /** The endpoint for the next request; `undefined` when none is left beside the excluded ones. */
  pick(exclude?: ReadonlySet<EndpointState>, key?: string): EndpointState | undefined;
  /** What `pick` comes to over many requests with this key, when all endpoints answer alike and none is new. */
  shares(key?: string): Shares;
}

/** `zone` is where the caller runs, if that is known. */
export function createBalancer(balancer: Balancer, random: Random, clock: Clock, zone?: string): LoadBalancer {
  const usual = compose(balancer, random, clock, zone);
  // With that little left, distance does not count.
  const inPanic = compose(balancer, random, clock, undefined);
  const { panicThreshold = 0 } = balancer;
  let states = new Map<string, EndpointState>();
  let list: readonly EndpointState[] = [];
  let panicking = false;
  let picker: Picker = usual(list);
  return {
    get endpoints() {
      return list;
    },
    get panicking() {
      return panicking;
    },
    update(endpoints) {
      const ready = endpoints.filter(({ unready }) => !unready);
      panicking = ready.length * 100 < panicThreshold * endpoints.length;
      const since = states.size === 0 ? Number.NEGATIVE_INFINITY : clock.now();
      states = new Map(
        (panicking ? endpoints : ready).map((endpoint) => {
          const key = endpointKey(endpoint);
          const state = states.get(key) ?? createState(endpoint, key, since, clock);
          state.endpoint = endpoint;
          return [key, state];
        }),
      );
      list = [...states.values()];
      picker = (panicking ? inPanic : usual)(list);
    },
    pick: (exclude, key) => picker.pick(key, exclude),
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
