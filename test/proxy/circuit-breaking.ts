import type { BreakerLimits, CircuitBreaker, Service } from '../../runtime/model/index.ts';
import type { RunningProxy } from './mesh.ts';

export const breaker = (limits: BreakerLimits): CircuitBreaker => ({
  policy: { kind: 'CircuitBreakerPolicy', namespace: 'shop', name: 'limits' },
  limits,
});

/** The service, with a breaker on each port. */
export function limited(of: Service, limits: BreakerLimits): Service {
  return { ...of, ports: of.ports.map((port) => ({ ...port, circuitBreaker: breaker(limits) })) };
}

/** What is under way, by target and limit: `{ 'shop/reviews:9080 requests': 1 }`. */
export function inUse({ proxy }: RunningProxy): Record<string, number> {
  return Object.fromEntries(
    proxy.state.circuitBreakers.flatMap(({ target, limits }) =>
      limits.map(({ limit, inUse: count }) => [`${target} ${limit}`, count] as const),
    ),
  );
}
