import { ApiObject } from 'cdk8s';
import type { IConstruct } from 'constructs';
import { type Finding, formatFinding } from '../../runtime/model/index.ts';
import { validateWith } from '../synth/validate.ts';
import { Dependencies, type Objects } from './dependencies.ts';
import { FormerNames } from './former-names.ts';
import type { KubernetesArgs } from './options.ts';
import { pulumi } from './sdk.ts';

/** What is to be registered of a tree, found to be right as a whole. */
export interface Plan {
  readonly root: IConstruct;
  readonly objects: Objects;
  /** The constructs that hold objects; each becomes a component. */
  readonly components: ReadonlySet<IConstruct>;
  readonly dependencies: Dependencies;
  readonly formerNames: FormerNames;
}

/**
 * Plans the tree a construct belongs to. Nothing is registered yet, so that a tree with errors changes nothing.
 *
 * @throws RunError with all findings, where one is an error
 */
export function planOf(construct: IConstruct): Plan {
  const { root } = construct.node;
  report(validateWith(root, { outputsResolved: true }));
  const objects = new Map<ApiObject, KubernetesArgs>();
  const components = new Set<IConstruct>([root]);
  for (const object of root.node.findAll()) {
    if (!ApiObject.isApiObject(object)) continue;
    objects.set(object, object.toJson());
    for (const scope of object.node.scopes) if (!ApiObject.isApiObject(scope)) components.add(scope);
  }
  const dependencies = new Dependencies(objects);
  const formerNames = new FormerNames(root);
  report([...dependencies.findings(), ...formerNames.findings(components)]);
  return { root, objects, components, dependencies, formerNames };
}

function report(findings: readonly Finding[]): void {
  const errors = findings.filter(({ severity }) => severity === 'error');
  if (errors.length) throw new pulumi.RunError(errors.map(formatFinding).join('\n'));
  for (const finding of findings) pulumi.log.warn(formatFinding(finding));
}
