/** The data path: what a sidecar or gateway process runs. */
export { type Bootstrap, parseBootstrap, parseBootstrapText, parseHostPort, readBootstrap } from './bootstrap.ts';
export type { ProxyContext } from './exchange-plan.ts';
export { defaultProxyLimits, type ProxyLimits } from './limits.ts';
export { MeshProxy, type Subscriptions } from './mesh-proxy.ts';
export { ProxyMetrics } from './metrics.ts';
export { runSidecar, type Sidecar, type SidecarOptions } from './sidecar.ts';
export { runWorker } from './workers/worker.ts';
