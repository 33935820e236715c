/** The control plane as a process runs it, and the shapes of its API's answers. */
export type { ProxyView, ServiceView } from './api/views.ts';
export { type Controller, type ControllerOptions, startController } from './controller.ts';
export type { EdgeStats, ServiceStats } from './telemetry/traffic.ts';
