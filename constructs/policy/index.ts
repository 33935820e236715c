export { Access, AccessPolicy, type AccessPolicyProps, type AccessRuleProps, type Operation } from './access.ts';
export {
  type BalancingProps,
  type HashingProps,
  LoadBalancing,
  type SpreadingProps,
  type StickyProps,
  type ZonePreferenceProps,
} from './balancing.ts';
export { HashKey } from './hash-key.ts';
export { LoadBalancingPolicy, type LoadBalancingPolicyProps } from './load-balancing.ts';
