export { PulumiApp, type PulumiAppOptions } from './app.ts';
export { attribute, gatewayAddress } from './attribute.ts';
export { input } from './input.ts';
export { type ConstructOptions, configure, type KubernetesArgs, type Transform } from './options.ts';
