import { certificates } from './certificates.ts';
import type { Category } from './check.ts';
import { configuration } from './configuration.ts';
import { controller } from './control-plane.ts';
import { definitions } from './definitions.ts';
import { injector } from './injector.ts';
import { gatewayApi, kubernetes, nodes, permissions } from './kubernetes.ts';
import { proxies } from './proxies.ts';

/** What must hold before anything is installed. */
export const before: readonly Category[] = [kubernetes, nodes, gatewayApi, permissions];

/** What must hold of a cluster with a mesh. */
export const after: readonly Category[] = [
  kubernetes,
  gatewayApi,
  definitions,
  controller,
  injector,
  certificates,
  proxies,
  configuration,
];
