/** The control plane as a process runs it, and the shapes of its API's answers. */
export type { ProxyView, ServiceView } from './api/views.ts';
export { SecretAuthorityStore } from './authority/secret-authority-store.ts';
export type { Controller } from './controller.ts';
export { type FileControllerOptions, startFileController } from './files/file-controller.ts';
export {
  type KubernetesController,
  type KubernetesControllerOptions,
  startKubernetesController,
} from './kubernetes/kubernetes-controller.ts';
export type { PolicyStats } from './telemetry/policy-stats.ts';
export type { EdgeStats, ServiceStats } from './telemetry/traffic.ts';
