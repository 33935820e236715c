export { createBalancer, type LoadBalancer } from './balancer.ts';
export type { EndpointState } from './endpoint-state.ts';
export { type BalancingDecision, explainBalancing } from './explain.ts';
export { compileKey, type KeyReader } from './hash-key.ts';
export { describeDetection, type Ejection, type EjectionReason } from './outliers.ts';
export type { Shares } from './picker.ts';
export { sessionCookie } from './sessions.ts';
