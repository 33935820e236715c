import type { IConstruct } from 'constructs';
import type { Finding } from '../../runtime/model/index.ts';
import { Check, type Checked } from './check.ts';
import { checkBareOutputs, checkIds, checkOutputs } from './outputs.ts';

/**
 * Everything that is wrong with the tree a construct belongs to, in the order of the tree: nothing is thrown, so that
 * all of it can be mended at once.
 */
export function validate(root: IConstruct): readonly Finding[] {
  return validateWith(root, { outputsResolved: false });
}

/** @param options.outputsResolved - whether Outputs in the tree will be replaced by their values */
export function validateWith(root: IConstruct, options: { readonly outputsResolved: boolean }): readonly Finding[] {
  const tree = root.node.root;
  const check = new Check(tree);
  for (const construct of tree.node.findAll()) {
    if (isChecked(construct)) construct._check(check);
  }
  check._finish();
  checkIds(check, tree);
  checkBareOutputs(check, tree, options.outputsResolved);
  // A tree with errors may not be able to say its objects.
  const sound = check._findings.every(({ severity }) => severity !== 'error');
  if (sound) checkOutputs(check, tree, options.outputsResolved);
  return check._findings;
}

function isChecked(construct: IConstruct): construct is Checked {
  return '_check' in construct;
}
