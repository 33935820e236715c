import type { AccessRule, PathMatch, PrincipalMatch } from '../model/index.ts';
import { type AccessPolicyObject, type AccessPolicyRule, describeObject, namespaceOf } from '../resources/index.ts';
import { enforcersOf } from './enforcers.ts';
import type { Inventory } from './inventory.ts';
import { operationsOf } from './operations.ts';
import type { Report } from './report.ts';
import type { ServiceEntries, ServicePortEntry } from './services.ts';
import { accepted, type ObjectStatus, ownStatus, referenceTo, type Verdict } from './status.ts';
import { resolveTargets } from './targets.ts';
import type { Workloads } from './workloads.ts';

/** Attaches the AccessPolicies to the workloads behind the Services they target. */
export function attachAccessPolicies(
  inventory: Inventory,
  services: ServiceEntries,
  workloads: Workloads,
  report: Report,
  statuses: ObjectStatus[],
): void {
  const known = knownCallers(inventory, workloads);
  for (const policy of inventory.all('AccessPolicy')) {
    const { targets, verdict: found } = resolveTargets(policy, services, report);
    const { rules, problem } = translateRules(policy, report);
    const verdict: Verdict = problem ? { holds: false, reason: 'Invalid', message: problem } : (found ?? accepted);
    statuses.push(ownStatus(policy, verdict, found));
    warnOfStrangers(policy, rules, known, report);

    const enforcers = enforcersOf(policy, targets, workloads, report);
    for (const { ports } of targets) warnOfTcp(policy, rules, ports, report);
    for (const [workload, ports] of enforcers) {
      workload.access.push({ policy: referenceTo(policy), ...(ports && { ports }), rules });
    }
  }
}

function translateRules(policy: AccessPolicyObject, report: Report): { rules: AccessRule[]; problem?: string } {
  let problem: string | undefined;
  const rules = policy.spec.rules.map((rule, index): AccessRule => {
    const action = rule.action === 'Deny' ? 'deny' : 'allow';
    return {
      name: rule.name ?? `rule-${index}`,
      action,
      from: (rule.from ?? []).map((from) => principalOf(from, namespaceOf(policy))),
      to: operationsOf(rule.to, closed[action], (place, message) => {
        problem ??= message;
        report('MW1304', policy, {
          path: `spec.rules[${index}].${place}`,
          message,
          hint: 'correct the pattern; until then the rule lets nobody through',
        });
      }),
    };
  });
  return { rules, problem };
}

/** What stands for a path that cannot be compared, so that the rule never lets more through: no path is empty. */
const closed: Readonly<Record<AccessRule['action'], PathMatch>> = {
  allow: { kind: 'exact', value: '' },
  deny: { kind: 'prefix', value: '/' },
};

type From = NonNullable<AccessPolicyRule['from']>[number];

function principalOf(from: From, policyNamespace: string): PrincipalMatch {
  if (from.serviceAccount) {
    const { namespace = policyNamespace, name } = from.serviceAccount;
    return { kind: 'service-account', namespace, name };
  }
  return from.namespace ? { kind: 'namespace', namespace: from.namespace } : { kind: 'authenticated' };
}

interface KnownCallers {
  hasNamespace(name: string): boolean;
  hasServiceAccount(namespace: string, name: string): boolean;
}

function knownCallers(inventory: Inventory, workloads: Workloads): KnownCallers {
  const inhabited = new Set(workloads.entries.map(({ namespace }) => namespace));
  const used = new Set(
    workloads.entries.flatMap(({ namespace, serviceAccount, otherServiceAccounts = [] }) =>
      [serviceAccount, ...otherServiceAccounts].map((name) => `${namespace}/${name}`),
    ),
  );
  return {
    hasNamespace: (name) => inhabited.has(name) || inventory.hasNamespace(name),
    hasServiceAccount: (namespace, name) =>
      used.has(`${namespace}/${name}`) || inventory.find('ServiceAccount', namespace, name) !== undefined,
  };
}

function warnOfStrangers(
  policy: AccessPolicyObject,
  rules: readonly AccessRule[],
  known: KnownCallers,
  report: Report,
): void {
  for (const [index, rule] of rules.entries()) {
    for (const [position, from] of rule.from.entries()) {
      const stranger = strangerIn(from, known);
      if (!stranger) continue;
      report('MW1303', policy, {
        path: `spec.rules[${index}].from[${position}]`,
        message: `rule ${rule.name} names nobody: ${stranger} is not there`,
        hint: 'correct the name, or add what it names',
      });
    }
  }
}

function strangerIn(from: PrincipalMatch, known: KnownCallers): string | undefined {
  if (from.kind === 'authenticated') return undefined;
  if (from.kind === 'namespace') return known.hasNamespace(from.namespace) ? undefined : `namespace ${from.namespace}`;
  return known.hasServiceAccount(from.namespace, from.name)
    ? undefined
    : `service account ${from.namespace}/${from.name}`;
}

function warnOfTcp(
  policy: AccessPolicyObject,
  rules: readonly AccessRule[],
  ports: readonly ServicePortEntry[],
  report: Report,
): void {
  const tcp = ports.find((port) => port.protocol === 'tcp');
  const rule = rules.find(({ to }) => to.some(({ methods, paths }) => methods.length || paths.length));
  if (!tcp || !rule) return;
  report('MW1304', policy, {
    message: `rule ${rule.name} of ${describeObject(policy)} asks for methods or paths, which a tcp port (${tcp.port}) does not have`,
    hint: 'name the http port with sectionName, or leave out methods and paths',
  });
}
