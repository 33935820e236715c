import { ApiObject } from 'cdk8s';
import type { IConstruct } from 'constructs';
import { type Finding, finding } from '../../runtime/model/index.ts';
import { originOf } from './attribute.ts';
import { outputsIn } from './input.ts';
import type { KubernetesArgs } from './options.ts';

/** The objects of a tree, as cdk8s would write them. */
export type Objects = ReadonlyMap<ApiObject, KubernetesArgs>;

/**
 * Which objects must exist before which: a namespace before what is in it, a service account before the workload that
 * runs as it, a definition before its custom resources, and what `node.addDependency` states.
 */
export class Dependencies {
  readonly #objects: Objects;
  readonly #providers = new Map<string, ApiObject>();
  readonly #inside = new Map<IConstruct, readonly ApiObject[]>();

  constructor(objects: Objects) {
    this.#objects = objects;
    for (const [object, json] of objects) {
      const key = provides(json);
      if (key) this.#providers.set(key, object);
    }
  }

  /** The objects that must exist before this one. */
  of(object: ApiObject): ReadonlySet<ApiObject> {
    const required = new Set<ApiObject>();
    for (const key of requires(this.#objects.get(object)!)) {
      const provider = this.#providers.get(key);
      if (provider) required.add(provider);
    }
    for (const scope of object.node.scopes) {
      for (const dependency of scope.node.dependencies) {
        for (const inner of this.#objectsIn(dependency)) required.add(inner);
      }
    }
    required.delete(object);
    return required;
  }

  /** Reports objects that wait for each other, be it for their existence or for an attribute. */
  findings(): readonly Finding[] {
    const done = new Set<ApiObject>();
    const findings: Finding[] = [];
    const visit = (object: ApiObject, path: readonly ApiObject[]): void => {
      if (done.has(object)) return;
      const start = path.indexOf(object);
      if (start >= 0) {
        findings.push(circle([...path.slice(start), object]));
        return;
      }
      for (const next of this.#awaited(object)) visit(next, [...path, object]);
      done.add(object);
    };
    for (const object of this.#objects.keys()) visit(object, []);
    return findings;
  }

  #awaited(object: ApiObject): ReadonlySet<ApiObject> {
    const origins = outputsIn(this.#objects.get(object)!).flatMap((output) => originOf(output) ?? []);
    return new Set([...this.of(object), ...origins]);
  }

  #objectsIn(construct: IConstruct): readonly ApiObject[] {
    let inside = this.#inside.get(construct);
    if (!inside) {
      inside = construct.node.findAll().filter((inner) => ApiObject.isApiObject(inner));
      this.#inside.set(construct, inside);
    }
    return inside.filter((object) => this.#objects.has(object));
  }
}

function circle(objects: readonly ApiObject[]): Finding {
  return finding('MW1146', {
    message: `these wait for each other: ${objects.map((object) => object.node.path).join(' -> ')}`,
    hint: 'take away one of the dependencies or attributes that lead from one to the next',
    construct: objects[0].node.path,
  });
}

/** What others can need of an object. */
function provides({ kind, metadata, spec }: KubernetesArgs): string | undefined {
  switch (kind) {
    case 'Namespace':
      return `Namespace ${metadata.name}`;
    case 'ServiceAccount':
      return `ServiceAccount ${metadata.namespace}/${metadata.name}`;
    case 'CustomResourceDefinition':
      return `${spec.group} ${spec.names.kind}`;
    default:
      return undefined;
  }
}

function* requires(object: KubernetesArgs): Generator<string> {
  const { apiVersion, kind, metadata } = object;
  if (metadata.namespace) yield `Namespace ${metadata.namespace}`;
  const serviceAccount = podSpecOf(object)?.serviceAccountName;
  if (serviceAccount) yield `ServiceAccount ${metadata.namespace}/${serviceAccount}`;
  if (apiVersion.includes('/')) yield `${apiVersion.split('/')[0]} ${kind}`;
}

/** The pods an object describes, where it does: a Pod, a Deployment and its like, a CronJob. */
function podSpecOf({ kind, spec }: KubernetesArgs): { readonly serviceAccountName?: string } | undefined {
  if (kind === 'Pod') return spec;
  return (spec?.jobTemplate?.spec ?? spec)?.template?.spec;
}
