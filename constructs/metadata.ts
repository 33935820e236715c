import type { ApiObjectMetadata } from 'cdk8s';
import { Chart } from 'cdk8s';
import type { IConstruct } from 'constructs';
import { annotations } from '../runtime/resources/index.ts';

/** Metadata of an object with a name of its own; findings about the object can name the construct. */
export function metadata(
  construct: IConstruct,
  name: string,
  labels?: Readonly<Record<string, string>>,
): ApiObjectMetadata {
  return { name, labels: { ...labels }, annotations: { [annotations.constructPath]: construct.node.path } };
}

/** The same, with an annotation that names ports or listeners, if there are any to name. */
export function withNames(object: ApiObjectMetadata, annotation: string, names: readonly string[]): ApiObjectMetadata {
  if (names.length === 0) return object;
  return { ...object, annotations: { ...object.annotations, [annotation]: names.join(',') } };
}

/** Name of an object that nobody calls by name: the ids below the mesh, as in `reviews-canary`. */
export function nameBelowMesh(construct: IConstruct): string {
  const mesh = Chart.of(construct);
  const ids = construct.node.scopes.slice(mesh.node.scopes.length).map((scope) => scope.node.id);
  return ids.join('-');
}

/** The namespace objects of this scope are in. */
export function namespaceAt(construct: IConstruct): string {
  const { namespace } = Chart.of(construct);
  if (!namespace) throw new Error(`${construct.node.path} must be inside of a Mesh or of a Chart with a namespace`);
  return namespace;
}
