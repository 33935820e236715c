import type { CustomResource, CustomResourceOptions, Input, Resource } from '@pulumi/pulumi';
import type { ApiObject } from 'cdk8s';
import type { IConstruct } from 'constructs';
import { groups } from '../../runtime/resources/index.ts';
import { register } from './attribute.ts';
import { withOutputs } from './input.ts';
import {
  type ConstructOptions,
  type InheritedOptions,
  inherit,
  type KubernetesArgs,
  optionsOf,
  ownOptions,
} from './options.ts';
import type { Plan } from './plan.ts';
import { resourceClass, resourceType } from './resource-class.ts';
import { pulumi } from './sdk.ts';

interface Registered {
  readonly resource: Resource;
  readonly inherited: InheritedOptions;
}

/** Registers what was planned, parents and dependencies first. */
export class Registrar {
  readonly #name: string;
  readonly #plan: Plan;
  readonly #skipAwait: boolean;
  readonly #components = new Map<IConstruct, Registered>();
  readonly #resources = new Map<ApiObject, CustomResource>();

  constructor(name: string, plan: Plan, skipAwait: boolean) {
    this.#name = name;
    this.#plan = plan;
    this.#skipAwait = skipAwait;
  }

  run(app: Resource, options: ConstructOptions): void {
    const { root, components, objects } = this.#plan;
    this.#components.set(root, { resource: app, inherited: inherit({ options: {}, transforms: [] }, options) });
    for (const construct of root.node.findAll()) {
      if (construct !== root && components.has(construct)) this.#registerComponent(construct);
    }
    for (const object of objects.keys()) this.#registerObject(object);
  }

  #registerComponent(construct: IConstruct): void {
    const { resource: parent, inherited } = this.#around(construct);
    const type = componentType(construct);
    const own = optionsOf(construct);
    const options = pulumi.mergeOptions(ownOptions(own), { parent, aliases: this.#aliases(construct, type) });
    const resource = new pulumi.ComponentResource(type, this.#nameOf(construct.node.path), {}, options);
    this.#components.set(construct, { resource, inherited: inherit(inherited, own) });
  }

  #registerObject(object: ApiObject): CustomResource {
    const known = this.#resources.get(object);
    if (known) return known;
    const { dependencies, objects } = this.#plan;
    const dependsOn = [...dependencies.of(object)].map((required) => this.#registerObject(required));
    const { resource: parent, inherited } = this.#around(object);
    const own = optionsOf(object);
    const { options: handed, transforms } = inherit(inherited, own);

    const args = withOutputs(objects.get(object)!);
    this.#annotate(args);
    const aliases = this.#aliases(object, resourceType(args));
    const options: CustomResourceOptions = [ownOptions(own), { parent, dependsOn, aliases }].reduce(
      (all, more) => pulumi.mergeOptions(all, more),
      handed,
    );
    for (const transform of transforms) transform(args, options, object);
    const resource = new (resourceClass(args))(this.#nameOf(object.node.path), args, options);
    this.#resources.set(object, resource);
    register(object, resource);
    return resource;
  }

  /** The nearest component around a construct. */
  #around(construct: IConstruct): Registered {
    const scope = construct.node.scopes.findLast((outer) => outer !== construct && this.#components.has(outer));
    return this.#components.get(scope!)!;
  }

  #nameOf(path: string): string {
    return path ? `${this.#name}/${path}` : this.#name;
  }

  #aliases(construct: IConstruct, type: string): CustomResourceOptions['aliases'] {
    const former = this.#plan.formerNames.urnOf(construct, type, {
      nameOf: (path) => this.#nameOf(path),
      currentUrnOf: (parent) => this.#urnOf(parent),
    });
    return former && [former];
  }

  /** The URN of a component, also of one that is not registered yet. */
  #urnOf(construct: IConstruct): Input<string> {
    const { scope, path } = construct.node;
    if (!scope) return this.#components.get(construct)!.resource.urn;
    return pulumi.createUrn(this.#nameOf(path), componentType(construct), this.#urnOf(scope));
  }

  /** Tells the Kubernetes provider what to wait for. Our own kinds are in force when the controller accepts them. */
  #annotate({ apiVersion, metadata }: KubernetesArgs): void {
    const annotation: Record<string, string> | undefined = this.#skipAwait
      ? { 'pulumi.com/skipAwait': 'true' }
      : apiVersion.startsWith(`${groups.meshwright}/`)
        ? { 'pulumi.com/waitFor': 'condition=Accepted' }
        : undefined;
    if (annotation) metadata.annotations = { ...annotation, ...metadata.annotations };
  }
}

/** Stated by the class, as the name of a class may be minified. */
function componentType(construct: IConstruct): string {
  const { pulumiType } = construct.constructor as { readonly pulumiType?: string };
  return pulumiType ?? 'meshwright:index:Construct';
}
