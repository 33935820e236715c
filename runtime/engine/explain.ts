import {
  type AccessRule,
  describeReference,
  type HttpMatch,
  type HttpRule,
  type ObjectReference,
} from '../model/index.ts';
import type { AccessDecider, AccessDecision, AccessRequest } from './access.ts';
import { explainPrecedence } from './precedence.ts';
import type { HttpRequest } from './request.ts';
import type { RouteMatch, Router } from './router.ts';

/** What became of a rule: it decided, it matched but another came first, or it did not match. */
export type Verdict = 'decided' | 'not-first' | 'no-match';

export interface RouteConsideration {
  readonly rule: HttpRule;
  readonly match: HttpMatch;
  readonly verdict: Verdict;
  /** The conditions that held, the first that did not, or why another came first. */
  readonly reason: string;
}

export interface RouteExplanation {
  /** What {@link Router.route} returns. */
  readonly decided: RouteMatch | undefined;
  /** Every match that was considered, in order of precedence. */
  readonly considered: readonly RouteConsideration[];
}

/** Says which match decides about a request, and of every other one why it does not. */
export function explainRoute(router: Router, request: HttpRequest): RouteExplanation {
  const decided = router.route(request);
  const considered = router.candidates(request.authority).map((candidate): RouteConsideration => {
    const { rule, match, path, details } = candidate;
    const failing = path.test(request.path) ? details.find((detail) => !detail.test(request)) : path;
    if (failing) return { rule, match, verdict: 'no-match', reason: `not so: ${failing.describe()}` };
    if (decided && candidate !== decided) {
      const first = `${describeReference(decided.rule.route)} ${decided.rule.name}`;
      const reason = `${first} also matches: ${explainPrecedence(decided.match, match)}`;
      return { rule, match, verdict: 'not-first', reason };
    }
    return { rule, match, verdict: 'decided', reason: [path, ...details].map((part) => part.describe()).join(', ') };
  });
  return { decided, considered };
}

export interface AccessConsideration {
  readonly policy: ObjectReference;
  readonly rule: AccessRule;
  readonly verdict: Verdict;
  readonly reason: string;
}

export interface AccessExplanation {
  readonly decision: AccessDecision;
  /** Every rule that holds for the port, in the order they are asked. */
  readonly considered: readonly AccessConsideration[];
}

/** Says which rule decides about access, and of every other one why it does not. */
export function explainAccess(decider: AccessDecider, request: AccessRequest): AccessExplanation {
  const decision = decider.decide(request);
  const considered = decider.rules.map(({ policy, rule, conditions, decision: own }): AccessConsideration => {
    const failing = conditions.find((condition) => !condition.test(request));
    if (failing) return { policy, rule, verdict: 'no-match', reason: `not so: ${failing.describe()}${doubt(request)}` };
    if (own !== decision) return { policy, rule, verdict: 'not-first', reason: decision.reason };
    const reason = conditions.map((condition) => condition.describe()).join(', ') || 'everyone, every operation';
    return { policy, rule, verdict: 'decided', reason: reason + doubt(request) };
  });
  return { decision, considered };
}

function doubt({ path }: AccessRequest): string {
  return path?.ambiguous ? ' (the path is ambiguous: conditions on it hold in a deny and fail in an allow)' : '';
}
