/** The controller's side of discovery and of the certificate RPC. Not for the sidecar. */
export {
  type ControlPlaneHandler,
  type ControlPlaneOptions,
  createControlPlaneHandler,
} from './control-plane.ts';
export { createControlPlaneServer } from './control-plane-server.ts';
export { DiscoveryCache, type DiscoveryChange } from './discovery-cache.ts';
export type { ProxyStatus, SubscriptionStatus } from './proxy-status.ts';
