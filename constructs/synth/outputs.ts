import { ApiObject } from 'cdk8s';
import type { IConstruct } from 'constructs';
import { isUnknown, placeholdersIssued } from '../placeholder.ts';
import type { Check } from './check.ts';

/** Reports names that are Outputs: ids and keys are part of what a tree is, and must be the same in each run. */
export function checkIds(check: Check, root: IConstruct): void {
  if (!placeholdersIssued()) return;
  for (const construct of root.node.findAll()) {
    if (isUnknown(construct.node.id)) reportLiteral(check, construct, 'its id');
  }
}

/** Reports an Output where only a literal can stand. */
export function reportLiteral(check: Check, construct: IConstruct, what: string): void {
  check.report(
    'MW1145',
    construct,
    `${what} is an Output, which is not known while the tree is built`,
    'write it as a literal; Outputs can be values, not names of ports, versions, labels or constructs',
  );
}

/**
 * Reports Outputs in the objects of a tree.
 *
 * @param resolved - whether Outputs will be replaced by their values, so that only those in keys are wrong
 */
export function checkOutputs(check: Check, root: IConstruct, resolved: boolean): void {
  if (!placeholdersIssued()) return;
  for (const object of objectsOf(root)) {
    for (const { path, place } of find(object.toJson(), isUnknown)) {
      if (place === 'key') reportLiteral(check, object, `a key of ${path}`);
      else if (!resolved) reportUnwritable(check, object, path);
    }
  }
}

/**
 * Reports Outputs that were put into an object as they are, which cdk8s could not even render. They are looked for in
 * what the object was given, as nearly no tree has one and rendering costs much more.
 *
 * @param resolved - whether Outputs would be replaced by their values if they were given as `input()`
 */
export function checkBareOutputs(check: Check, root: IConstruct, resolved: boolean): void {
  for (const object of objectsOf(root)) {
    const { props } = object as unknown as { readonly props: unknown };
    for (const { path } of find(props, isBareOutput)) {
      if (!resolved) reportUnwritable(check, object, path);
      else check.report('MW1148', object, `${path} is an Output that cdk8s cannot render`, 'write input(output)');
    }
  }
}

function reportUnwritable(check: Check, object: IConstruct, path: string): void {
  check.report(
    'MW1144',
    object,
    `${path} is an Output of Pulumi, which cdk8s cannot write`,
    'deploy this tree with PulumiApp, or state a literal',
  );
}

function objectsOf(root: IConstruct): ApiObject[] {
  return root.node.findAll().filter((construct) => ApiObject.isApiObject(construct));
}

/** An Output, or a text that one was made part of. Recognised by its shape: who writes YAML need not have Pulumi. */
function isBareOutput(value: unknown): boolean {
  if (typeof value === 'string') return /Calling \[to\w+\] on an \[Output<T>\]/.test(value);
  return typeof value === 'object' && value !== null && '__pulumiOutput' in value;
}

interface Found {
  readonly path: string;
  readonly place: 'key' | 'value';
}

function* find(value: unknown, isOutput: (value: unknown) => boolean, path = ''): Generator<Found> {
  if (isOutput(value)) yield { path, place: 'value' };
  else if (isPlain(value)) {
    for (const [key, child] of Object.entries(value)) {
      if (isOutput(key)) yield { path, place: 'key' };
      yield* find(child, isOutput, Array.isArray(value) ? `${path}[${key}]` : path ? `${path}.${key}` : key);
    }
  }
}

/** Objects of classes, such as constructs, may lead anywhere. */
function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && (Array.isArray(value) || value.constructor === Object);
}
