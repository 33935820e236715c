import { createRetryBudget, type RetryAllowance } from '../engine/index.ts';
import { formatHostPort, type Protocol, type Timeouts } from '../model/index.ts';
import type { EndpointPort } from './destinations.ts';
import type { ExchangePlan, ProxyContext, Upstream } from './exchange-plan.ts';
import { DurationSeries } from './metrics.ts';
import type { Pools } from './pools.ts';

/** Requests that the application sends to one endpoint: nothing is routed or balanced, and no policy of time holds. */
export class DirectPlan implements ExchangePlan {
  readonly direction = 'outbound';
  readonly callerCanRetry = false;
  readonly timeouts: Timeouts = {};
  readonly endpoint: EndpointPort;
  readonly service: string;
  readonly protocol: Protocol;
  readonly mtls: boolean;
  readonly budget: RetryAllowance;
  readonly #upstream: Upstream;
  readonly #series: DurationSeries;

  constructor(context: ProxyContext, pools: Pools, endpoint: EndpointPort, protocol: Protocol, source: string) {
    const { peer, target } = endpoint;
    this.endpoint = endpoint;
    this.service = target.service;
    this.protocol = protocol;
    this.mtls = peer.identity !== undefined;
    this.budget = createRetryBudget(context.clock);
    this.#upstream = { pool: pools.acquire(peer, protocol), address: formatHostPort(peer) };
    const labels = [source, this.service, this.service, '', String(this.mtls)];
    this.#series = new DurationSeries(context.metrics.clientDuration, labels);
  }

  get target(): string {
    return this.service;
  }

  pick(): Upstream {
    return this.#upstream;
  }

  observe(status: number, seconds: number): void {
    this.#series.observe(status, seconds);
  }
}

/** The plans of all endpoints that were called directly; each lives until its endpoint is gone. */
export class DirectPlans {
  readonly #context: ProxyContext;
  readonly #pools: Pools;
  readonly #source: () => string;
  readonly #plans = new Map<EndpointPort, DirectPlan>();

  /** `source` is the workload as its own metrics name it. */
  constructor(context: ProxyContext, pools: Pools, source: () => string) {
    this.#context = context;
    this.#pools = pools;
    this.#source = source;
  }

  get(endpoint: EndpointPort, protocol: Protocol): DirectPlan {
    const known = this.#plans.get(endpoint);
    if (known?.protocol === protocol) return known;
    this.forget(endpoint);
    const plan = new DirectPlan(this.#context, this.#pools, endpoint, protocol, this.#source());
    this.#plans.set(endpoint, plan);
    return plan;
  }

  /** Requests under way finish. */
  forget(endpoint: EndpointPort): void {
    const plan = this.#plans.get(endpoint);
    if (!plan) return;
    this.#plans.delete(endpoint);
    this.#pools.release(endpoint.peer, plan.protocol);
  }
}
