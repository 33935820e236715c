import { type Balancer, describeReference } from '../../model/index.ts';
import type { LoadBalancer } from './balancer.ts';
import { keyOf } from './hash-key.ts';

/** How an endpoint was chosen, and why so. */
export interface BalancingDecision {
  readonly balancer: Balancer;
  /** What the request was hashed by, or the session it brought. */
  readonly key?: string;
  /** For example `ring hash of header x-user`. */
  readonly reason: string;
}

const names: Readonly<Record<Balancer['kind'], string>> = {
  'round-robin': 'each in turn',
  random: 'at random',
  'least-request': 'least requests of two random choices',
  'peak-ewma': 'least expected wait of two random choices (peak EWMA)',
  'ring-hash': 'ring hash',
  maglev: 'maglev',
};

/** `states` is what was made of `balancer`, in the caller's `zone`. */
export function explainBalancing(
  balancer: Balancer,
  states: LoadBalancer,
  key: string | undefined,
  zone: string | undefined,
): BalancingDecision {
  const parts = [describeChoice(balancer, states, key)];
  if (states.panicking) parts.push(`fewer than ${balancer.panicThreshold}% are ready, so the others are tried as well`);
  else if (!('by' in balancer) && balancer.preferSameZone) parts.push(describeZone(states, zone));
  if (balancer.policy) parts.push(`so says ${describeReference(balancer.policy)}`);
  return { balancer, ...(key !== undefined && { key }), reason: parts.join('; ') };
}

function describeChoice(balancer: Balancer, states: LoadBalancer, key: string | undefined): string {
  const from = keyOf(balancer);
  if (!from) return names[balancer.kind];
  const what = from.kind === 'source' ? 'the caller' : `${from.kind} ${from.name}`;
  if ('by' in balancer) {
    if (key !== undefined) return `${names[balancer.kind]} of ${what}`;
    return `${names['peak-ewma']}, since ${what} to hash by is not there`;
  }
  const known = key !== undefined && states.endpoints.some(({ id }) => id === key);
  return known ? `the endpoint that ${what} names` : `${names[balancer.kind]}, which begins a session`;
}

function describeZone({ endpoints }: LoadBalancer, zone: string | undefined): string {
  if (zone === undefined) return 'in any zone, since that of the caller is not known';
  const local = endpoints.filter(({ endpoint }) => endpoint.zone === zone).length;
  return `${local} of ${endpoints.length} endpoints are in zone ${zone}, which is preferred`;
}
