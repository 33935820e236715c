import {
  type BackendTarget,
  type BreakerLimits,
  type CircuitBreaker,
  describeReference,
  type HttpRule,
  type ObjectReference,
  type RouteCircuitBreaker,
} from '../model/index.ts';

/** What is limited. */
export type BreakerLimit = keyof BreakerLimits;

const nouns: Readonly<Record<BreakerLimit, string>> = {
  connections: 'connections open',
  pending: 'requests waiting for a connection',
  requests: 'requests under way',
};

/** Counts what one proxy has under way to a target. Lives as long as the target is configured; limits may change. */
export class Breaker {
  /** How metrics and errors name the target: `shop/reviews:9080`, or a route and its rule. */
  readonly target: string;
  #settings: CircuitBreaker;
  #requests = 0;
  #pending = 0;
  #streams = 0;
  #pooled: () => number = () => 0;

  constructor(target: string, settings: CircuitBreaker) {
    this.target = target;
    this.#settings = settings;
  }

  get settings(): CircuitBreaker {
    return this.#settings;
  }

  /** What is under way stays counted. */
  configure(settings: CircuitBreaker): void {
    this.#settings = settings;
  }

  /** Connections that pools keep open are not counted but asked for. */
  countPooled(pooled: () => number): void {
    this.#pooled = pooled;
  }

  /** How many of a kind there are. */
  count(limit: BreakerLimit): number {
    switch (limit) {
      case 'connections':
        return this.#streams + this.#pooled();
      case 'pending':
        return this.#pending;
      case 'requests':
        return this.#requests;
    }
  }

  /** Whether there may be no more of a kind. */
  isOpen(limit: BreakerLimit): boolean {
    const most = this.#settings.limits[limit];
    return most !== undefined && this.count(limit) >= most;
  }

  /** Why there may be no more of a kind, in words. */
  reason(limit: BreakerLimit): string {
    const { limits, policy } = this.#settings;
    return `${this.target} has ${this.count(limit)} ${nouns[limit]}; ${describeReference(policy)} allows ${limits[limit]}`;
  }

  startRequest(): void {
    this.#requests++;
  }

  endRequest(): void {
    this.#requests--;
  }

  startWaiting(): void {
    this.#pending++;
  }

  endWaiting(): void {
    this.#pending--;
  }

  /** A stream of bytes has a connection for itself. */
  openStream(): void {
    this.#streams++;
  }

  closeStream(): void {
    this.#streams--;
  }
}

/** The first of some breakers that lets no more of a kind through. */
export function firstOpen(breakers: readonly Breaker[], limit: BreakerLimit): Breaker | undefined {
  for (const breaker of breakers) if (breaker.isOpen(limit)) return breaker;
  return undefined;
}

/** A circuit breaker that a request has to pass. */
export interface BreakerConsideration {
  readonly policy: ObjectReference;
  /** What it counts together: `requests to shop/reviews:9080`, or those of a route or rule. */
  readonly target: string;
  readonly limits: BreakerLimits;
  readonly reason: string;
}

/** Names the breakers between a sender and a target: those of the rule, then that of the port it leads to. */
export function explainBreakers(
  rule: HttpRule | undefined,
  { service, port }: BackendTarget,
  ofPort: CircuitBreaker | undefined,
): readonly BreakerConsideration[] {
  const ofRule = (rule?.circuitBreakers ?? []).map((breaker) => consider(breaker, ruleTarget(rule!, breaker)));
  return ofPort ? [...ofRule, consider(ofPort, `${service}:${port}`)] : ofRule;
}

/** What a breaker of a rule counts together, by name. */
export function ruleTarget({ route, name }: HttpRule, { wholeRoute }: RouteCircuitBreaker): string {
  return wholeRoute ? describeReference(route) : `${describeReference(route)} ${name}`;
}

function consider({ policy, limits }: CircuitBreaker, target: string): BreakerConsideration {
  return { policy, target, limits, reason: `${describeLimits(limits)}, for each proxy of its callers` };
}

/** For example `at most 100 requests under way, 10 requests waiting for a connection`. */
function describeLimits(limits: BreakerLimits): string {
  const stated = (Object.keys(nouns) as BreakerLimit[]).filter((limit) => limits[limit] !== undefined);
  return `at most ${stated.map((limit) => `${limits[limit]} ${nouns[limit]}`).join(', ')}`;
}
