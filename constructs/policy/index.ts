export { Access, AccessPolicy, type AccessPolicyProps, type AccessRuleProps, type Operation } from './access.ts';
export { LoadBalancingPolicy, type LoadBalancingPolicyProps } from './load-balancing.ts';
