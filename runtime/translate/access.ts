import {
  type AccessPolicy,
  type AccessRule,
  checkPattern,
  type OperationMatch,
  type PathMatch,
  type PrincipalMatch,
} from '../model/index.ts';
import { type AccessPolicyObject, type AccessPolicyRule, describeObject, namespaceOf } from '../resources/index.ts';
import type { Inventory } from './inventory.ts';
import type { Report } from './report.ts';
import type { ServiceEntries, ServicePortEntry } from './services.ts';
import { accepted, condition, type ObjectStatus, referenceTo, type Verdict } from './status.ts';
import { resolveTargets } from './targets.ts';
import { targetPortOf, type WorkloadEntry, type Workloads } from './workloads.ts';

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
    statuses.push({ object: referenceTo(policy), conditions: [condition(policy, 'Accepted', verdict)] });
    warnOfStrangers(policy, rules, known, report);

    const portsOf = new Map<WorkloadEntry, Set<number> | 'all'>();
    for (const { service, ports } of targets) {
      const selected = workloads.of(service);
      if (!selected.some((workload) => workload.inMesh)) {
        report('MW1305', policy, {
          message: `no workload with a sidecar is behind Service ${service.name}, so nothing enforces the policy`,
          hint: 'put the pods into the mesh with the label meshwright.dev/inject: enabled',
        });
      }
      warnOfTcp(policy, rules, ports, report);
      for (const workload of selected) addPorts(portsOf, workload, ports);
    }
    for (const [workload, ports] of portsOf) workload.access.push(forWorkload(policy, rules, ports));
  }
}

function addPorts(
  portsOf: Map<WorkloadEntry, Set<number> | 'all'>,
  workload: WorkloadEntry,
  ports: readonly ServicePortEntry[],
): void {
  const before = portsOf.get(workload);
  const numbers = ports.map((port) => targetPortOf(port, workload));
  // A port whose number is not known might be any: the policy then guards them all.
  if (before === 'all' || numbers.includes(undefined)) portsOf.set(workload, 'all');
  else portsOf.set(workload, new Set([...(before ?? []), ...(numbers as number[])]));
}

function forWorkload(
  policy: AccessPolicyObject,
  rules: readonly AccessRule[],
  ports: Set<number> | 'all',
): AccessPolicy {
  return {
    policy: referenceTo(policy),
    ...(ports === 'all' ? {} : { ports: [...ports].sort((a, b) => a - b) }),
    rules,
  };
}

function translateRules(policy: AccessPolicyObject, report: Report): { rules: AccessRule[]; problem?: string } {
  let problem: string | undefined;
  const rules = policy.spec.rules.map((rule, index): AccessRule => {
    const action = rule.action === 'Deny' ? 'deny' : 'allow';
    return {
      name: rule.name ?? `rule-${index}`,
      action,
      from: (rule.from ?? []).map((from) => principalOf(from, namespaceOf(policy))),
      to: (rule.to ?? []).map(
        (to, position): OperationMatch => ({
          methods: to.methods ?? [],
          paths: (to.paths ?? []).map((path, pathIndex) => {
            const bad = path.type === 'RegularExpression' ? checkPattern(path.value) : undefined;
            if (!bad) return pathMatchOf(path);
            const message = `pattern ${path.value}: ${bad}`;
            problem ??= message;
            report('MW1304', policy, {
              path: `spec.rules[${index}].to[${position}].paths[${pathIndex}].value`,
              message,
              hint: 'correct the pattern; until then the rule lets nobody through',
            });
            return closed[action];
          }),
        }),
      ),
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
type Path = NonNullable<NonNullable<AccessPolicyRule['to']>[number]['paths']>[number];

function principalOf(from: From, policyNamespace: string): PrincipalMatch {
  if (from.serviceAccount) {
    const { namespace = policyNamespace, name } = from.serviceAccount;
    return { kind: 'service-account', namespace, name };
  }
  return from.namespace ? { kind: 'namespace', namespace: from.namespace } : { kind: 'authenticated' };
}

function pathMatchOf({ type, value }: Path): PathMatch {
  return { kind: type === 'Exact' ? 'exact' : type === 'PathPrefix' ? 'prefix' : 'regex', value };
}

interface KnownCallers {
  hasNamespace(name: string): boolean;
  hasServiceAccount(namespace: string, name: string): boolean;
}

function knownCallers(inventory: Inventory, workloads: Workloads): KnownCallers {
  const used = new Set(
    workloads.entries.map((entry) => `${entry.namespace}/${entry.spec.serviceAccountName ?? 'default'}`),
  );
  return {
    hasNamespace: inventory.hasNamespace,
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
