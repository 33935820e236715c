import { defaultRetryBudget, type Hedging, parseDuration, type Retry, type RetryBudget } from '../model/index.ts';
import {
  describeObject,
  type GrpcRouteObject,
  type HttpRouteObject,
  namespaceOf,
  type RetryPolicyObject,
} from '../resources/index.ts';
import { outOfLimits, type Problem } from './duration-limits.ts';
import type { Inventory } from './inventory.ts';
import type { Report } from './report.ts';
import type { ServiceEntries } from './services.ts';
import { accepted, type ObjectStatus, ownStatus, type Verdict } from './status.ts';
import { conflictWith, describeTarget, missingRoute, resolveTarget } from './targets.ts';

type RequestRoute = HttpRouteObject | GrpcRouteObject;
type Spec = RetryPolicyObject['spec'];

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
      report('MW1391', policy, problem);
      refuse({ holds: false, reason: 'Invalid', message: problem.message });
    }
    for (const [index, ref] of policy.spec.targetRefs.entries()) {
      const missing =
        ref.kind === 'Service'
          ? resolveTarget(policy, ref, index, services, report).verdict
          : missingRoute(policy, ref, index, inventory, report);
      if (missing) {
        refuse(missing);
        unresolved ??= missing;
        continue;
      }
      const target = describeTarget(namespaceOf(policy), ref);
      const conflict = conflictWith(owners.get(target), policy, target, report);
      if (conflict) refuse(conflict);
      else if (!problem) {
        owners.set(target, policy);
        const service = ref.kind === 'Service' && services.get(`${namespaceOf(policy)}/${ref.name}`);
        if (service) service.retryBudget = budgetOf(policy.spec.retryConstraint);
      }
    }
    statuses.push(ownStatus(policy, verdict, unresolved));
  }
  return (route, rule) => {
    const whole = describeObject(route);
    const policy = owners.get(`${whole} ${rule}`) ?? owners.get(whole);
    return policy ? toRetries(policy.spec) : {};
  };
}

/** Why a policy cannot be carried out; what the API server refuses can stand in a file. */
function problemOf({ hedging, retryConstraint: { budget, minRetryRate } = {} }: Spec): Problem | undefined {
  return (
    outOfLimits('spec.hedging.delay', hedging?.delay, '1ms') ??
    outOfLimits('spec.retryConstraint.budget.interval', budget?.interval, '1s', '1h') ??
    outOfLimits('spec.retryConstraint.minRetryRate.interval', minRetryRate?.interval, '1ms', '1h')
  );
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
