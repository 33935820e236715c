import type { ComponentResourceOptions, CustomResourceOptions } from '@pulumi/pulumi';
import type { ApiObject } from 'cdk8s';
import type { IConstruct } from 'constructs';
import { pulumi } from './sdk.ts';

/** A Kubernetes object as it is given to Pulumi. */
export interface KubernetesArgs {
  apiVersion: string;
  kind: string;
  metadata: KubernetesMetadata;
  // biome-ignore lint/suspicious/noExplicitAny: fields are reached by name whatever the kind, as in transformations of @pulumi/kubernetes.
  [field: string]: any;
}

interface KubernetesMetadata {
  name: string;
  namespace?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

/** Changes an object, or the options of its resource, in place. Outputs can be put anywhere. */
export type Transform = (object: KubernetesArgs, options: CustomResourceOptions, construct: ApiObject) => void;

/**
 * What Pulumi should know of a construct beyond the objects it makes. Everything holds for all objects inside of it,
 * except `aliases`, `import`, `id` and `urn`, which are of one resource.
 */
export interface ConstructOptions extends Omit<CustomResourceOptions & ComponentResourceOptions, 'parent'> {
  /**
   * Where the construct was in the tree before, so that what it made is kept and not replaced: `shop/old-reviews`.
   * @default - it has not been moved
   */
  readonly movedFrom?: string;

  /**
   * Changes the objects inside, as the last word before they are registered.
   * @default - they are as cdk8s would write them
   */
  readonly transform?: Transform;
}

const configured = new WeakMap<IConstruct, ConstructOptions>();

/**
 * States resource options of a construct: a mesh, a service, a route, or a single object.
 *
 * @example
 * configure(cart, { protect: true });
 * configure(ApiObject.of(web), { ignoreChanges: ['metadata.annotations'] });
 */
export function configure(construct: IConstruct, options: ConstructOptions): void {
  configured.set(construct, { ...configured.get(construct), ...options });
}

/** What was stated about a construct itself. */
export function optionsOf(construct: IConstruct): ConstructOptions {
  return configured.get(construct) ?? {};
}

/** What Pulumi does not hand from a component to its children by itself, so that we do. */
const inherited = [
  'dependsOn',
  'ignoreChanges',
  'replaceOnChanges',
  'customTimeouts',
  'deleteBeforeReplace',
  'deletedWith',
  'retainOnDelete',
] as const;

/** What the objects inside of a construct have from it. */
export interface InheritedOptions {
  readonly options: CustomResourceOptions;
  /** The innermost has the last word. */
  readonly transforms: readonly Transform[];
}

/** Adds what a construct states to what it has from above. */
export function inherit(above: InheritedOptions, own: ConstructOptions): InheritedOptions {
  const handed = Object.fromEntries(inherited.filter((key) => key in own).map((key) => [key, own[key]]));
  return {
    options: pulumi.mergeOptions(above.options, handed),
    transforms: own.transform ? [...above.transforms, own.transform] : above.transforms,
  };
}

/** What a construct states about its own resource, or what Pulumi hands to its children. */
export function ownOptions(own: ConstructOptions): CustomResourceOptions & ComponentResourceOptions {
  const { movedFrom, transform, ...options } = own;
  for (const key of inherited) delete options[key];
  return options;
}
