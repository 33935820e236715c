/**
 * The decisions of the mesh, pure: everything is compiled once from the model, clock and randomness are passed in.
 * The proxy, `simulate` and `explain` use the same functions.
 */
export {
  type AccessDecider,
  type AccessDecision,
  type AccessRequest,
  type CompiledAccessRule,
  compileAccess,
} from './access.ts';
export { chooseBackend, chooseByWeight } from './backend.ts';
export {
  Breaker,
  type BreakerConsideration,
  type BreakerLimit,
  firstOpen,
  ruleTarget,
} from './circuit-breaker.ts';
export { type ConnectionDecision, type ConnectionRouter, compileConnections } from './connection-router.ts';
export { type CompiledCors, compileCors } from './cors.ts';
export { decide } from './decide.ts';
export {
  abortStatus,
  type ClientDecision,
  type CorsDecision,
  type Decision,
  type ForwardedRequest,
  forwardedTo,
  type ReceiverDecision,
  type SimulatedRequest,
  type TargetDecision,
} from './decision.ts';
export {
  type AccessConsideration,
  type AccessExplanation,
  explainAccess,
  explainRoute,
  type RouteConsideration,
  type RouteExplanation,
  type Verdict,
} from './explain.ts';
export {
  type CompiledFault,
  compileFaults,
  explainFaults,
  type FaultConsideration,
  type FaultInjector,
  faultyTargets,
} from './fault.ts';
export { admitFields, fieldsOfStranger, type Trust, withHyphens, withoutForwarded } from './forwarded-fields.ts';
export { applyHeaderChange, describeHeaderChange, headersByName } from './headers.ts';
export {
  type BalancingDecision,
  compileKey,
  createBalancer,
  describeDetection,
  type Ejection,
  type EjectionReason,
  type EndpointState,
  type KeyReader,
  type LoadBalancer,
  type Shares,
  sessionCookie,
} from './load-balancing/index.ts';
export type { Matcher } from './matcher.ts';
export { compileNetworks, isAddress, type NetworkTest } from './networks.ts';
export { type Outcome, outcomeOfCall, outcomeOfStatus } from './outcome.ts';
export { formatTarget, type NormalizedPath, normalizePath } from './path.ts';
export { type PreflightMatch, routePreflight } from './preflight.ts';
export {
  compileRateLimits,
  explainRateLimits,
  type RateLimitConsideration,
  type RateLimiter,
  type RateLimitRefusal,
  type RateLimitRequest,
  rateLimitFields,
} from './rate-limit.ts';
export { type HttpRequest, headerValue, hostOf, portOf } from './request.ts';
export {
  backoffDelay,
  type FailedTry,
  isIdempotent,
  planRetry,
  type RetryPlan,
  type TryFailure,
  tryTimeout,
} from './retry.ts';
export { createRetryBudget, type RetryAllowance } from './retry-budget.ts';
export { type RedirectedRequest, redirectLocation, rewritePath } from './rewrite.ts';
export { compileRules, compileVirtualHosts, type RouteMatch, type Router } from './router.ts';
export { type CompiledListener, compileListeners, compileServicePort, hostsOf } from './service.ts';
export { createSnapshot, type MeshSnapshot } from './snapshot.ts';
export { nearestTimeouts, sameTimeouts } from './timeouts.ts';
export { fromWire } from './wire-text.ts';
