import type { Endpoints, Gateway, QualifiedName, Resource, ResourceKind, Service, Workload } from '../model/index.ts';

/** All that a mesh consists of, by name. */
export interface MeshSnapshot {
  readonly services: ReadonlyMap<QualifiedName, Service>;
  readonly endpoints: ReadonlyMap<QualifiedName, Endpoints>;
  readonly workloads: ReadonlyMap<QualifiedName, Workload>;
  readonly gateways: ReadonlyMap<QualifiedName, Gateway>;
}

export function createSnapshot(resources: readonly Resource[]): MeshSnapshot {
  const byName = <Kind extends ResourceKind>(kind: Kind) =>
    new Map(
      resources
        .filter((resource): resource is Extract<Resource, { kind: Kind }> => resource.kind === kind)
        .map((resource) => [resource.name, resource]),
    );
  return {
    services: byName('service'),
    endpoints: byName('endpoints'),
    workloads: byName('workload'),
    gateways: byName('gateway'),
  };
}
