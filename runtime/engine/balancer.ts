import type { Balancer, Clock, Endpoint, Random } from '../model/index.ts';

/** An endpoint with what is known of its load. */
export interface EndpointState {
  endpoint: Endpoint;
  /** Requests under way; the caller counts them. */
  active: number;
  /** Tells how long a response took, in milliseconds. A failure counts as a long one, so that failing fast attracts nothing. */
  observe(latency: number, failed?: boolean): void;
  /** What one more request is expected to wait for: peak-EWMA latency times the requests in line. `now` is of the clock. */
  load(now: number): number;
}

/** Chooses among the endpoints of a service. */
export interface LoadBalancer {
  readonly endpoints: readonly EndpointState[];
  /** Takes new endpoints; those that stay keep what is known of them. */
  update(endpoints: readonly Endpoint[]): void;
  /** The endpoint for the next request; `undefined` when none is left beside the excluded ones. */
  pick(exclude?: ReadonlySet<EndpointState>): EndpointState | undefined;
}

type Picker = (states: readonly EndpointState[]) => EndpointState;

export function createBalancer(kind: Balancer, random: Random, clock: Clock): LoadBalancer {
  const choose = kind === 'round-robin' ? createRoundRobin(random) : createLeastRequest(random, clock);
  let states = new Map<string, EndpointState>();
  let list: readonly EndpointState[] = [];
  return {
    get endpoints() {
      return list;
    },
    update(endpoints) {
      states = new Map(
        endpoints.map((endpoint) => {
          const key = keyOf(endpoint);
          const state = states.get(key) ?? createState(endpoint, clock);
          state.endpoint = endpoint;
          return [key, state];
        }),
      );
      list = [...states.values()];
    },
    pick(exclude) {
      const open = exclude?.size ? list.filter((state) => !exclude.has(state)) : list;
      return open.length < 2 ? open[0] : choose(open);
    },
  };
}

/** Endpoints of one machine differ by their ports only; a new identity is a new endpoint. */
function keyOf({ address, ports, identity }: Endpoint): string {
  return JSON.stringify([address, identity, Object.entries(ports).sort()]);
}

function createRoundRobin(random: Random): Picker {
  let turn = Math.floor(random() * 1024);
  return (states) => states[turn++ % states.length];
}

/** The better of two random choices: close to the best of all, without everyone running to the same. */
function createLeastRequest(random: Random, clock: Clock): Picker {
  return (states) => {
    const first = Math.floor(random() * states.length);
    const second = (first + 1 + Math.floor(random() * (states.length - 1))) % states.length;
    const now = clock.now();
    return states[first].load(now) <= states[second].load(now) ? states[first] : states[second];
  };
}

/** Milliseconds after which an observation has lost two thirds of its weight. */
const decay = 10_000;
const failureLatency = 1000;
/** Expected of an endpoint that has not answered yet and is busy: it gets one request to begin with. */
const unknownLatency = 1000;

function createState(endpoint: Endpoint, clock: Clock): EndpointState {
  let latency: number | undefined;
  let observed = clock.now();

  /** The average forgets, so that an endpoint that was slow once is tried again. */
  function weight(now: number) {
    return Math.exp((observed - now) / decay);
  }

  return {
    endpoint,
    active: 0,
    observe(sample, failed = false) {
      const cost = failed ? Math.max(sample, failureLatency) : sample;
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
