import { defaultRetryBudget, type Hedging, parseDuration, type Retry, type RetryBudget } from '../model/index.ts';
import {
  describeObject,
  type GrpcRouteObject,
  type HttpRouteObject,
  namespaceOf,
  type RetryPolicyObject,
} from '../resources/index.ts';
import type { Inventory } from './inventory.ts';
import type { Report } from './report.ts';
import type { ServiceEntries } from './services.ts';
import { accepted, type ObjectStatus, ownStatus, type Verdict } from './status.ts';
import { resolveTarget } from './targets.ts';

type RequestRoute = HttpRouteObject | GrpcRouteObject;
type Spec = RetryPolicyObject['spec'];
type TargetRef = Spec['targetRefs'][number];

/** What RetryPolicies say of a rule beyond what its route says. */
interface RuleRetries {
  readonly retry?: Retry;
  readonly hedging?: Hedging;
}

/** Tells what RetryPolicies say of the rule of a route; what names the rule wins over what names the route. */
export type RuleRetriesOf = (route: RequestRoute, rule: string) => RuleRetries;

/** Milliseconds before the first repetition where nothing is stated. */
export const retryBackoff = 25;

/** Reads the RetryPolicies; of two that are about the same, the oldest holds. */
export function readRetryPolicies(
  inventory: Inventory,
  services: ServiceEntries,
  report: Report,
  statuses: ObjectStatus[],
): RuleRetriesOf {
  const owners = new Map<string, RetryPolicyObject>();
  for (const policy of inventory.all('RetryPolicy')) {
    let verdict = accepted;
    let unresolved: Verdict | undefined;
    const refuse = (refused: Verdict) => {
      if (verdict.holds) verdict = refused;
    };
    const problem = problemOf(policy.spec);
    if (problem) {
      report('MW1391', policy, { ...problem, hint: 'correct it; until then what holds without the policy does' });
      refuse({ holds: false, reason: 'Invalid', message: problem.message });
    }
    for (const [index, ref] of policy.spec.targetRefs.entries()) {
      const missing = missingTarget(policy, ref, index, inventory, services, report);
      if (missing) {
        refuse(missing);
        unresolved ??= missing;
        continue;
      }
      const key = keyOf(namespaceOf(policy), ref);
      const owner = owners.get(key);
      if (owner) {
        const message = `${describeObject(owner)} already says it for ${ref.kind} ${ref.name}`;
        report('MW1302', policy, { path: `spec.targetRefs[${index}]`, message, hint: 'keep one of the two' });
        refuse({ holds: false, reason: 'Conflicted', message });
      } else if (!problem) {
        owners.set(key, policy);
        const service = ref.kind === 'Service' && services.get(`${namespaceOf(policy)}/${ref.name}`);
        if (service) service.retryBudget = budgetOf(policy.spec.retryConstraint);
      }
    }
    statuses.push(ownStatus(policy, verdict, unresolved));
  }
  return (route, rule) => {
    const ref = { kind: route.kind, name: route.metadata.name };
    const namespace = namespaceOf(route);
    const policy = owners.get(keyOf(namespace, { ...ref, sectionName: rule })) ?? owners.get(keyOf(namespace, ref));
    return policy ? toRetries(policy.spec) : {};
  };
}

function keyOf(namespace: string, { kind, name, sectionName = '' }: Omit<TargetRef, 'group'>): string {
  return [kind, namespace, name, sectionName].join(' ');
}

function missingTarget(
  policy: RetryPolicyObject,
  ref: TargetRef,
  index: number,
  inventory: Inventory,
  services: ServiceEntries,
  report: Report,
): Verdict | undefined {
  if (ref.kind === 'Service') return resolveTarget(policy, ref, index, services, report).verdict;
  const route = inventory.find(ref.kind, namespaceOf(policy), ref.name);
  const rules = route?.spec.rules?.map(({ name }, position) => name ?? `rule-${position}`) ?? ['rule-0'];
  if (route && (ref.sectionName === undefined || rules.includes(ref.sectionName))) return undefined;
  const name = `${ref.kind} ${namespaceOf(policy)}/${ref.name}`;
  const { message, hint } = route
    ? { message: `${name} has no rule named ${ref.sectionName}`, hint: `its rules are ${rules.join(', ')}` }
    : { message: `${name} is not there`, hint: 'correct the name, or add the route' };
  report('MW1301', policy, { path: `spec.targetRefs[${index}]`, message, hint });
  return { holds: false, reason: 'TargetNotFound', message };
}

/** Why a policy cannot be carried out; what the API server refuses can stand in a file. */
function problemOf({ hedging, retryConstraint }: Spec): { path: string; message: string } | undefined {
  return (
    outOfLimits('hedging.delay', hedging?.delay, 1, Number.POSITIVE_INFINITY, 'more than 0') ??
    outOfLimits('retryConstraint.budget.interval', retryConstraint?.budget?.interval, 1000, hour, '1s to 1h') ??
    outOfLimits('retryConstraint.minRetryRate.interval', retryConstraint?.minRetryRate?.interval, 1, hour, '1ms to 1h')
  );
}

const hour = 3_600_000;

function outOfLimits(field: string, value: string | undefined, least: number, most: number, allowed: string) {
  const length = value === undefined ? least : parseDuration(value);
  if (length >= least && length <= most) return undefined;
  return { path: `spec.${field}`, message: `${value} is out of limits; allowed is ${allowed}` };
}

function toRetries({ retry, hedging }: Spec): RuleRetries {
  return {
    ...(retry && {
      retry: {
        attempts: retry.attempts,
        codes: [],
        ...(retry.grpcStatuses && { grpcStatuses: [...retry.grpcStatuses] }),
        backoff: retry.backoff === undefined ? retryBackoff : parseDuration(retry.backoff),
      },
    }),
    ...(hedging && { hedging: { delay: parseDuration(hedging.delay) } }),
  };
}

function budgetOf({ budget = {}, minRetryRate = {} }: NonNullable<Spec['retryConstraint']> = {}): RetryBudget {
  const { minRetryRate: rate, ...share } = defaultRetryBudget;
  return {
    percent: budget.percent ?? share.percent,
    interval: budget.interval === undefined ? share.interval : parseDuration(budget.interval),
    minRetryRate: {
      count: minRetryRate.count ?? rate.count,
      interval: minRetryRate.interval === undefined ? rate.interval : parseDuration(minRetryRate.interval),
    },
  };
}
