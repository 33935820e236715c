import { groups, type KubernetesObject, type PodObject } from '../../resources/index.ts';

/** Without what the mesh never reads from a cluster: a large cluster has many of these. */
export function slim(object: KubernetesObject): KubernetesObject {
  const { annotations, ...metadata } = object.metadata;
  const ours = Object.entries(annotations ?? {}).filter(([name]) => name.includes(groups.meshwright));
  const result = {
    ...object,
    metadata: ours.length ? { ...metadata, annotations: Object.fromEntries(ours) } : metadata,
  } as KubernetesObject;
  if (result.kind === 'Pod') return { ...result, spec: slimSpec(result.spec) };
  if (!('status' in result)) return result;
  // What we say of our own objects is no reason to translate them again.
  const { status, ...rest } = result;
  return rest as KubernetesObject;
}

function slimSpec(spec: PodObject['spec']): PodObject['spec'] {
  return {
    ...spec,
    containers: spec.containers.map(({ name, ports, readinessProbe }) => ({
      name,
      ...(ports && { ports }),
      ...(readinessProbe && { readinessProbe }),
    })),
  };
}
