import type { Input, Output } from '@pulumi/pulumi';
import { issuePlaceholder, isUnknown, isWholePlaceholder, splitAtPlaceholders } from '../placeholder.ts';
import { pulumi } from './sdk.ts';

const outputs = new Map<number, Output<unknown>>();
const placeholders = new WeakMap<object, string>();

/**
 * Lets an Output stand wherever a construct takes a plain value: an image, a number of replicas, a host name.
 *
 * The resource that gets the value depends on what the Output depends on; a secret stays a secret, and what is not
 * known in a preview stays unknown. The value itself is not known while the tree is built: do not compute with it, use
 * `apply` before. Names that make up the tree (ids, names of ports and versions, keys of labels) are literals.
 *
 * @param value - a plain value is returned as it is
 * @example
 * const image = new docker.Image('reviews', { ... });
 * new Service(shop, 'reviews', { ports, workload: { image: input(image.repoDigest) } });
 */
export function input<T extends string | number | boolean>(value: Input<T>): T {
  if (typeof value !== 'object') return value;
  let placeholder = placeholders.get(value);
  if (!placeholder) {
    placeholder = issuePlaceholder();
    placeholders.set(value, placeholder);
    const output = pulumi.Output.isInstance(value) ? value : pulumi.output(value);
    outputs.set(Number(splitAtPlaceholders(placeholder)[0]), output);
  }
  // Text also where T is a number: constructs hand values on and never compute with them.
  return placeholder as T;
}

/** Puts the Outputs where their placeholders stand in an object of the tree. */
export function withOutputs<T>(value: T): T {
  return replace(value) as T;
}

/** The Outputs that stand in an object of the tree. */
export function outputsIn(value: unknown): readonly Output<unknown>[] {
  if (typeof value === 'string') return isUnknown(value) ? partsOf(value).filter((part) => isOutput(part)) : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(outputsIn);
}

function replace(value: unknown): unknown {
  if (typeof value === 'string') {
    if (!isUnknown(value)) return value;
    const parts = partsOf(value);
    return isWholePlaceholder(value) ? parts[0] : pulumi.concat(...(parts as Input<string>[]));
  }
  if (Array.isArray(value)) return value.map(replace);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, replace(child)]));
}

function partsOf(text: string): readonly (string | Output<unknown>)[] {
  return splitAtPlaceholders(text).map((part) => (typeof part === 'number' ? outputs.get(part)! : part));
}

function isOutput(part: string | Output<unknown>): part is Output<unknown> {
  return typeof part !== 'string';
}
