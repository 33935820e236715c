import type { CustomResource, CustomResourceOptions } from '@pulumi/pulumi';
import { kubernetes } from './sdk.ts';

/** A class of @pulumi/kubernetes. */
export type ResourceClass = new (name: string, args: object, options?: CustomResourceOptions) => CustomResource;

interface Identified {
  readonly apiVersion: string;
  readonly kind: string;
}

/**
 * The class for an object: the typed one where @pulumi/kubernetes has one of exactly this group, version and kind,
 * otherwise `CustomResource`, which takes every kind.
 */
export function resourceClass(object: Identified): ResourceClass {
  return (typedClass(object) ?? kubernetes.apiextensions.CustomResource) as ResourceClass;
}

/** The type in the URN of an object's resource. */
export function resourceType(object: Identified): string {
  return typedClass(object)?.__pulumiType ?? `kubernetes:${object.apiVersion}:${object.kind}`;
}

function typedClass({ apiVersion, kind }: Identified): { readonly __pulumiType: string } | undefined {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['core', apiVersion];
  const modules = kubernetes as unknown as Record<string, Record<string, Record<string, { __pulumiType: string }>>>;
  const found = modules[group.split('.')[0]]?.[version]?.[kind];
  // Groups with one first label share a module: networking.k8s.io, networking.istio.io.
  return found?.__pulumiType === `kubernetes:${group}/${version}:${kind}` ? found : undefined;
}
