/** The Kubernetes API server as the control plane and the command line use it. Never for a proxy. */
export type {
  ApplyOptions,
  KubernetesApi,
  ListOptions,
  ObjectKind,
  ObjectList,
  ObjectMetadata,
  ObjectRef,
  RawObject,
  Selection,
  TokenReview,
  WatchEventType,
  WatchOptions,
} from './api.ts';
export { ApiError, unlessConflict } from './api-error.ts';
export { type KubernetesApiOptions, openKubernetesApi } from './http-api.ts';
