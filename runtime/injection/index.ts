/** Puts proxies beside pods: pure, for the admission webhook and for `meshwright inject`. */
export { injectManifests, type ManifestInjection } from './inject-manifests.ts';
export { injectedKinds, type ObjectInjection } from './inject-objects.ts';
export { type Injection, injectPod } from './inject-pod.ts';
export { injectionPaths, injectorConfiguration, injectorName } from './injector-configuration.ts';
export type { RawPod } from './pod-view.ts';
export { defaultSettings, type InjectionSettings, trustBundle } from './settings.ts';
export type { InjectionRequest } from './subject.ts';
