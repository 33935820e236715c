export { Access, AccessPolicy, type AccessPolicyProps, type AccessRuleProps } from './access.ts';
export {
  type BalancingProps,
  type HashingProps,
  LoadBalancing,
  type SpreadingProps,
  type StickyProps,
  type ZonePreferenceProps,
} from './balancing.ts';
export { CircuitBreakerPolicy, type CircuitBreakerPolicyProps } from './circuit-breaker.ts';
export {
  type AbortProps,
  type BandwidthProps,
  Fault,
  FaultPolicy,
  type FaultPolicyProps,
  type FaultProps,
} from './fault.ts';
export { HashKey } from './hash-key.ts';
export { LoadBalancingPolicy, type LoadBalancingPolicyProps } from './load-balancing.ts';
export { MtlsPolicy, type MtlsPolicyProps } from './mtls.ts';
export type { Operation } from './operation.ts';
export {
  type FailurePercentageProps,
  OutlierDetectionPolicy,
  type OutlierDetectionPolicyProps,
} from './outlier-detection.ts';
export { RateLimit, RateLimitPolicy, type RateLimitPolicyProps, type RateLimitProps } from './rate-limit.ts';
export { RetryPolicy, type RetryPolicyProps } from './retry.ts';
export { TimeoutPolicy, type TimeoutPolicyProps } from './timeout.ts';
