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
  for (const object of root.node.findAll().filter((construct) => ApiObject.isApiObject(construct))) {
    for (const { path, place } of find(object.toJson(), '')) {
      if (place === 'key') reportLiteral(check, object, `a key of ${path}`);
      else if (!resolved) {
        check.report(
          'MW1144',
          object,
          `${path} is an Output of Pulumi, which cdk8s cannot write`,
          'deploy this tree with PulumiApp, or state a literal',
        );
      }
    }
  }
}

interface Found {
  readonly path: string;
  readonly place: 'key' | 'value';
}

function* find(value: unknown, path: string): Generator<Found> {
  if (isUnknown(value)) yield { path, place: 'value' };
  if (typeof value !== 'object' || value === null) return;
  for (const [key, child] of Object.entries(value)) {
    if (isUnknown(key)) yield { path, place: 'key' };
    yield* find(child, Array.isArray(value) ? `${path}[${key}]` : path ? `${path}.${key}` : key);
  }
}
