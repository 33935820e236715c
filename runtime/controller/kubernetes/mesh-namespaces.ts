import {
  gatewayClassName,
  gatewayControllerName,
  injectEnabled,
  type KubernetesObject,
  labels,
  namespaceOf,
} from '../../resources/index.ts';

/** The namespaces that have something of the mesh: pods in it, a Gateway of ours, or the wish to have pods in it. */
export function meshNamespaces(objects: readonly KubernetesObject[]): ReadonlySet<string> {
  const found = new Set<string>();
  const classes = new Set<string>([gatewayClassName]);
  for (const object of objects) {
    const given = object.metadata.labels ?? {};
    if (object.kind === 'GatewayClass' && object.spec.controllerName === gatewayControllerName) {
      classes.add(object.metadata.name);
    }
    if (object.kind === 'Namespace' && given[labels.inject] === injectEnabled) found.add(object.metadata.name);
    if (object.kind !== 'Pod') continue;
    if (given[labels.inject] === injectEnabled || given[labels.proxy] !== undefined) found.add(namespaceOf(object));
  }
  for (const object of objects) {
    if (object.kind === 'Gateway' && classes.has(object.spec.gatewayClassName)) found.add(namespaceOf(object));
  }
  return found;
}
