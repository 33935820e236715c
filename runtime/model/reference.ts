/** The name of a namespaced object as `namespace/name`, for example `shop/reviews`. */
export type QualifiedName = string;

/** Where a piece of the model came from, so that decisions, logs and findings can name it. */
export interface ObjectReference {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** Writes a reference the way users see it: `HTTPRoute shop/reviews-canary`. */
export function describeReference(reference: ObjectReference): string {
  return `${reference.kind} ${reference.namespace}/${reference.name}`;
}

/** Joins a namespace and a name. */
export function qualifiedName(namespace: string, name: string): QualifiedName {
  return `${namespace}/${name}`;
}
