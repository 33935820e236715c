import { type BackendObjectRef, groups, type KubernetesObject, namespaceOf } from '../resources/index.ts';
import type { Inventory } from './inventory.ts';
import { namespaceOfRef } from './references.ts';

/** Which references across namespaces the ReferenceGrants of the target namespaces allow. */
export interface Grants {
  permit(route: KubernetesObject, backend: BackendObjectRef): boolean;
}

export function collectGrants(inventory: Inventory): Grants {
  return {
    permit(route, backend) {
      const from = namespaceOf(route);
      const to = namespaceOfRef(backend, route);
      if (from === to) return true;
      return inventory
        .all('ReferenceGrant')
        .some(
          (grant) =>
            namespaceOf(grant) === to &&
            grant.spec.from.some(
              (source) => source.group === groups.gateway && source.kind === route.kind && source.namespace === from,
            ) &&
            grant.spec.to.some(
              (target) =>
                target.group === groups.core &&
                target.kind === 'Service' &&
                (target.name === undefined || target.name === backend.name),
            ),
        );
    },
  };
}
