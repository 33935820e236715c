import type { IConstruct } from 'constructs';
import type { AccessPolicyObject } from '../../runtime/resources/index.ts';
import type { IPolicyTarget } from '../interfaces.ts';
import { nameBelowMesh, namespaceAt } from '../metadata.ts';
import { isUnknown } from '../placeholder.ts';
import type { Check } from '../synth/check.ts';
import { checkObjectName, claimObject } from '../synth/rules.ts';

/** What a policy is attached to (GEP-713). */
export function targetRef(target: IPolicyTarget): AccessPolicyObject['spec']['targetRefs'][number] {
  const { name, port } = target._backend();
  return { group: '', kind: 'Service', name, ...(port && { sectionName: port.name }) };
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
