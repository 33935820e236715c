import { createBalancer, type EndpointState, type LoadBalancer } from '../../../runtime/engine/index.ts';
import type { Balancer, Endpoint } from '../../../runtime/model/index.ts';
import { createClock, createRandom } from '../fixtures.ts';

export function endpoint(port: number, rest: Partial<Endpoint> = {}): Endpoint {
  return { address: '127.0.0.1', ports: { '80': port }, ...rest };
}

export function portOf(state: EndpointState | undefined): number | undefined {
  return state?.endpoint.ports['80'];
}

/** A balancer over endpoints that are told apart by their ports. */
export function balancerOf(
  settings: Balancer,
  endpoints: readonly (number | Endpoint)[],
  {
    clock = createClock(),
    zone,
    seed = 7,
  }: { clock?: ReturnType<typeof createClock>; zone?: string; seed?: number } = {},
): LoadBalancer {
  const balancer = createBalancer(settings, createRandom(seed), clock, { zone });
  balancer.update(endpoints.map((each) => (typeof each === 'number' ? endpoint(each) : each)));
  return balancer;
}

/** Keys as they come, all different. */
export function keys(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `user-${index}`);
}

/** From port to the share of `count` picks that it got. */
export function measure(balancer: LoadBalancer, count: number, key?: string): ReadonlyMap<number, number> {
  const shares = new Map<number, number>();
  for (let round = 0; round < count; round++) {
    const port = portOf(balancer.pick(undefined, key))!;
    shares.set(port, (shares.get(port) ?? 0) + 1 / count);
  }
  return shares;
}
