import {
  applyHeaderChange,
  type Breaker,
  type BreakerLimit,
  type CompiledFault,
  type EndpointState,
  type HttpRequest,
  type RetryAllowance,
} from '../engine/index.ts';
import {
  type CallStatus,
  describeReference,
  type Hedging,
  type HttpRule,
  type Retry,
  type Timeouts,
  type WeightedBackend,
} from '../model/index.ts';
import type { HeaderList } from '../net/index.ts';
import type { Cluster } from './cluster.ts';
import type { ExchangePlan, ProxyContext, TimeLimit, Upstream } from './exchange-plan.ts';
import { faultyUpstream } from './fault.ts';
import { DurationSeries } from './metrics.ts';

/** The fault that a try with these headers meets; mostly none. */
export type DrawFault = (headers: HeaderList) => CompiledFault | undefined;

/** What can change while a rule stays. */
export interface RuleState {
  readonly faults: DrawFault;
  readonly timeouts: () => Timeouts;
  readonly breakers: readonly Breaker[] | undefined;
}

/** What is done with requests that one rule sends to one of its backends. */
export class RoutePlan implements ExchangePlan {
  readonly direction: 'outbound' | 'gateway';
  readonly callerCanRetry = false;
  readonly service: string;
  readonly target: string | undefined;
  readonly route: string;
  readonly retry: Retry | undefined;
  readonly hedging: Hedging | undefined;
  readonly changeResponse: ((headers: HeaderList) => HeaderList) | undefined;
  readonly #context: ProxyContext;
  readonly #cluster: Cluster;
  readonly #drawFault: DrawFault;
  readonly #timeouts: () => Timeouts;
  readonly #source: string;
  readonly #ofRule: readonly Breaker[] | undefined;
  /** That of the cluster when {@link #breakers} were put together. */
  #ofCluster: Breaker | undefined;
  #breakers: readonly Breaker[] | undefined;
  readonly #encrypted: DurationSeries;
  readonly #plain: DurationSeries;

  constructor(
    context: ProxyContext,
    scope: { readonly direction: 'outbound' | 'gateway'; readonly source: string; readonly service: string },
    rule: HttpRule,
    backend: WeightedBackend,
    cluster: Cluster,
    { faults, timeouts, breakers }: RuleState,
  ) {
    this.direction = scope.direction;
    this.service = scope.service;
    this.target = backend.target?.service;
    this.route = nameOfRule(rule);
    this.retry = rule.retry;
    this.hedging = rule.hedging;
    this.#context = context;
    this.#cluster = cluster;
    this.#drawFault = faults;
    this.#timeouts = timeouts;
    this.#source = scope.source;
    this.#ofRule = breakers;
    this.#breakers = breakers;
    const { responseHeaders } = backend;
    if (responseHeaders || rule.responseHeaders) {
      this.changeResponse = (headers) =>
        applyHeaderChange(applyHeaderChange(headers, responseHeaders), rule.responseHeaders);
    }
    const labels = [scope.source, this.service, this.target ?? '', this.route];
    const { clientDuration, clientCallDuration } = context.metrics;
    this.#encrypted = new DurationSeries(clientDuration, [...labels, 'true'], clientCallDuration);
    this.#plain = new DurationSeries(clientDuration, [...labels, 'false'], clientCallDuration);
  }

  get timeouts(): Timeouts {
    return this.#timeouts();
  }

  /** Requests to one target share it, whatever rule sends them. */
  get budget(): RetryAllowance {
    return this.#cluster.budget;
  }

  get mtls(): boolean {
    return this.#cluster.mtls;
  }

  get breakers(): readonly Breaker[] | undefined {
    const { breaker } = this.#cluster;
    if (breaker !== this.#ofCluster) {
      this.#ofCluster = breaker;
      this.#breakers = breaker ? [...(this.#ofRule ?? []), breaker] : this.#ofRule;
    }
    return this.#breakers;
  }

  get outage(): string | undefined {
    return this.#cluster.outage;
  }

  countRefusal({ settings }: Breaker, limit: BreakerLimit): void {
    const { breakerRefusals } = this.#context.metrics;
    const labels = [this.#source, this.service, this.target ?? '', describeReference(settings.policy), limit];
    breakerRefusals.with(...labels).add(1);
  }

  countTimeout(limit: TimeLimit): void {
    this.#context.metrics.timeouts.with(this.#source, this.service, this.target ?? '', this.route, limit).add(1);
  }

  /** What the balancer reads of a request; `caller` is the client's address at a gateway. */
  keyOf(request: HttpRequest, caller: string): string | undefined {
    return this.#cluster.keyOf(request, this.direction === 'gateway' ? caller : undefined);
  }

  pick(
    tried: ReadonlySet<EndpointState> | undefined,
    key: string | undefined,
    headers: HeaderList,
  ): Upstream | undefined {
    const drawn = this.#drawFault(headers);
    if (!drawn) return this.#cluster.pick(tried, key);
    const { clock, metrics } = this.#context;
    metrics.faults.with(describeReference(drawn.policy), drawn.fault.name).add(1);
    return faultyUpstream(drawn, () => this.#cluster.pick(tried, key), clock);
  }

  observe(status: number, seconds: number, callStatus: CallStatus | undefined): void {
    (this.#cluster.mtls ? this.#encrypted : this.#plain).observe(status, seconds, callStatus);
  }
}

/** How metrics, logs and errors name a rule: `HTTPRoute shop/reviews-canary split`. */
export function nameOfRule({ route, name }: HttpRule): string {
  return `${describeReference(route)} ${name}`;
}
