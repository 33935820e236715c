import { groups, type KubernetesObject, type PodObject } from '../../resources/index.ts';

/** Without what the mesh never reads from a cluster: a large cluster has many of these. */
export function slim(object: KubernetesObject): KubernetesObject {
  const { annotations, ...metadata } = object.metadata;
  const ours = Object.entries(annotations ?? {}).filter(([name]) => name.includes(groups.meshwright));
  const result = {
    ...object,
    metadata: ours.length ? { ...metadata, annotations: Object.fromEntries(ours) } : metadata,
  } as KubernetesObject;
  if (result.kind === 'Pod') return slimPod(result);
  if (!('status' in result)) return result;
  // What we say of our own objects is no reason to translate them again.
  const { status: _said, ...rest } = result;
  return rest as KubernetesObject;
}

/** Whether a pod is ready is told by the slices that it is in. */
function slimPod({ spec, status, ...pod }: PodObject): PodObject {
  const { conditions: _told, ...slimStatus } = status ?? {};
  const containers = spec.containers.map(({ name, ports }) => ({ name, ...(ports && { ports }) }));
  return { ...pod, spec: { ...spec, containers }, ...(status && { status: slimStatus }) };
}
