import type { IConstruct } from 'constructs';
import { type AccessPolicyObject, type CircuitBreakerPolicyObject, groups } from '../../runtime/resources/index.ts';
import type { IPolicyTarget, IRouteTarget, RouteReference } from '../interfaces.ts';
import { nameBelowMesh, namespaceAt } from '../metadata.ts';
import { isUnknown } from '../placeholder.ts';
import type { Check } from '../synth/check.ts';
import { checkObjectName, claimObject } from '../synth/rules.ts';

/** What a policy is attached to (GEP-713). */
export function targetRef(target: IPolicyTarget): AccessPolicyObject['spec']['targetRefs'][number] {
  const { name, port } = target._backend();
  return { group: '', kind: 'Service', name, ...(port && { sectionName: port.name }) };
}

/** The same, where it may be a route or one of its rules. */
export function serviceOrRouteRef(
  target: IPolicyTarget | IRouteTarget,
): CircuitBreakerPolicyObject['spec']['targetRefs'][number] {
  if (!('_route' in target)) return targetRef(target);
  const { kind, name, rule } = target._route();
  return { group: groups.gateway, kind, name, ...(rule !== undefined && { sectionName: rule }) };
}

export function claimPolicy(check: Check, policy: IConstruct, kind: string): void {
  const name = nameBelowMesh(policy);
  checkObjectName(check, policy, 'policy name', name);
  claimObject(check, policy, kind, namespaceAt(policy), name);
}

/** Reports a target the policy could not be attached to. */
export function checkPolicyTarget(check: Check, policy: IConstruct, target: IPolicyTarget): void {
  const { service } = target._backend();
  if (!check.holds(service)) {
    check.report(
      'MW1334',
      policy,
      `it is attached to ${service.node.path}, which is in another tree`,
      'define both below one App',
    );
  } else if (service.namespace !== namespaceAt(policy)) {
    check.report(
      'MW1339',
      policy,
      `it is in namespace ${namespaceAt(policy)}, but attached to a service of ${service.namespace}; a policy holds for its own namespace only`,
      `define it in the mesh of ${service.namespace}`,
    );
  }
}

/** Reports a route the policy could not be attached to; `id` is the finding for a rule that it does not have. */
export function checkRouteTarget(
  check: Check,
  policy: IConstruct,
  { construct, ruleNames, rule }: RouteReference,
  id: 'MW1321' | 'MW1372',
): void {
  if (!check.holds(construct)) {
    const message = `it is attached to ${construct.node.path}, which is in another tree`;
    check.report('MW1334', policy, message, 'define both below one App');
  } else if (namespaceAt(construct) !== namespaceAt(policy)) {
    const message = `it is in namespace ${namespaceAt(policy)}, but attached to a route of ${namespaceAt(construct)}`;
    check.report('MW1339', policy, message, `define it in the mesh of ${namespaceAt(construct)}`);
  }
  if (rule === undefined || ruleNames.includes(rule)) return;
  const names = ruleNames.length ? `its named rules are ${ruleNames.join(', ')}` : 'none of its rules has a name';
  check.report(id, policy, `${construct.node.path} has no rule named ${rule}; ${names}`, 'correct the name');
}

/** How findings name a route, or a rule of it: `HTTPRoute shop/reviews split`. */
export function describeRoute({ construct, kind, name, rule }: RouteReference): string {
  return `${kind} ${namespaceAt(construct)}/${name}${rule === undefined ? '' : ` ${rule}`}`;
}

/** A whole number within limits, or one that is known only later. */
export function isCount(value: number, most: number): boolean {
  return isUnknown(value) || (Number.isInteger(value) && value >= 1 && value <= most);
}

/** How findings name a target: `service shop/reviews at port http`. */
export function describeTarget(target: IPolicyTarget): string {
  const { service, name, port } = target._backend();
  return `service ${service.namespace}/${name}${port ? ` at port ${port.name}` : ''}`;
}

/** Whether a target has connections, but no requests. */
export function speaksOnlyTcp(target: IPolicyTarget): boolean {
  const { service, port } = target._backend();
  const protocols = port ? [port.protocol] : Object.values(service.ports).map(({ protocol }) => protocol);
  return protocols.every((protocol) => protocol === 'tcp');
}
