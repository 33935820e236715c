import { ApiObject } from 'cdk8s';
import type { Construct } from 'constructs';
import { apiVersions, groups, type RetryPolicyObject } from '../runtime/resources/index.ts';
import { metadata, nameBelowMesh, namespaceAt } from './metadata.ts';
import type { Check } from './synth/check.ts';
import { checkObjectName, claimObject } from './synth/rules.ts';

/*
 * What a rule says of retries for which the Gateway API has no field stands in a RetryPolicy beside its route.
 */

type Spec = RetryPolicyObject['spec'];

/** The name by which a policy refers to a rule. */
export function labelOf({ name }: { readonly name?: string }, index: number): string {
  return name ?? `rule-${index}`;
}

/** Makes the RetryPolicy of one rule. Two rules of one name are reported when the route is checked. */
export function addRuleRetries(
  route: Construct,
  kind: 'HTTPRoute' | 'GRPCRoute',
  label: string,
  said: Pick<Spec, 'retry' | 'hedging'>,
): void {
  const id = `Retry-${label}`;
  if (route.node.tryFindChild(id)) return;
  const spec: Spec = {
    targetRefs: [{ group: groups.gateway, kind, name: nameBelowMesh(route), sectionName: label }],
    ...said,
  };
  new ApiObject(route, id, {
    apiVersion: apiVersions.meshwright,
    kind: 'RetryPolicy',
    metadata: metadata(route, policyName(route, label)),
    spec,
  });
}

export function checkRuleRetries(check: Check, route: Construct, label: string): void {
  const name = policyName(route, label);
  checkObjectName(check, route, 'the name of a retry policy', name);
  claimObject(check, route, 'RetryPolicy', namespaceAt(route), name);
}

function policyName(route: Construct, label: string): string {
  return `${nameBelowMesh(route)}-${label}`;
}
