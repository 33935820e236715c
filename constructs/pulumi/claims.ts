import type { IConstruct } from 'constructs';
import { pulumi } from './sdk.ts';

const deployedBy = new WeakMap<IConstruct, string>();

/** An object of the tree has one resource, which its attributes come from. */
export function claimTree(root: IConstruct, name: string): void {
  const other = deployedBy.get(root);
  if (other !== undefined) {
    throw new pulumi.RunError(
      `PulumiApp ${name}: its tree is deployed by PulumiApp ${other} already; make a tree for each, in a function that both call`,
    );
  }
  deployedBy.set(root, name);
}

const namesBelow = new WeakMap<object, Set<string>>();

/** Resources are named after their app. */
export function claimName(around: object | undefined, name: string): void {
  if (!around) return;
  const names = namesBelow.get(around) ?? new Set();
  if (names.has(name)) {
    throw new pulumi.RunError(
      `PulumiApp ${name}: there is one of this name already; name them apart, for example after their clusters`,
    );
  }
  namesBelow.set(around, names.add(name));
}
