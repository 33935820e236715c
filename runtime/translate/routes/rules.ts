import {
  type HttpAction,
  type HttpMatch,
  type HttpRule,
  type Mirror,
  parseDuration,
  type Retry,
  type RouteCircuitBreaker,
  type Timeouts,
  type WeightedBackend,
} from '../../model/index.ts';
import type { GrpcRouteObject, HttpRouteFilter, HttpRouteObject, HttpRouteRule } from '../../resources/index.ts';
import type { RouteCircuitBreakers } from '../circuit-breakers.ts';
import type { Report } from '../report.ts';
import { type RuleRetriesOf, retryBackoff } from '../retries.ts';
import { orEverything, ruleName } from '../route-rules.ts';
import { referenceTo, resolvedRefs, type Verdict } from '../status.ts';
import type { RuleTimeoutsOf } from '../timeouts.ts';
import { type BackendContext, type BackendProblem, resolveBackend, weightedBackend } from './backends.ts';
import { translateFilters } from './filters.ts';
import { grpcMatch, httpMatch, matchKey, matchProblem } from './matches.ts';

/** A route of requests. */
export type RequestRouteObject = HttpRouteObject | GrpcRouteObject;

/** A rule with one key for each of its matches, by which equal matches are found. */
export interface CompiledRule {
  readonly rule: HttpRule;
  readonly keys: readonly string[];
}

export interface CompiledRequestRoute {
  readonly object: RequestRouteObject;
  readonly rules: readonly CompiledRule[];
  readonly resolvedRefs: Verdict;
  /** Set where rules cannot be carried out; `all` where none can. */
  readonly invalid?: { readonly reason: string; readonly message: string; readonly all: boolean };
}

/** Gateway API: codes that mean the backend, not the request, is at fault. */
const retriedCodes = [502, 503, 504];

/** Translates the rules of a route; they are the same on every parent it is attached to. */
export function compileRequestRoute(
  route: RequestRouteObject,
  context: BackendContext & { readonly circuitBreakers: RouteCircuitBreakers; readonly timeoutsOf: RuleTimeoutsOf },
  retriesOf: RuleRetriesOf,
  report: Report,
): CompiledRequestRoute {
  let unresolved: BackendProblem | undefined;
  let invalid: { reason: string; message: string } | undefined;
  let faulty = 0;
  const rules = rulesOf(route);
  const compiled = rules.map(({ rule, matches }, index): CompiledRule => {
    const path = `spec.rules[${index}]`;
    const name = ruleName(rule, index);
    const filters = translateFilters(rule.filters ?? [], matches);
    const problem = contradiction(rule, matches) ?? filters.problem;
    if (problem) {
      faulty++;
      invalid ??= problem;
      report('MW1207', route, { path, message: problem.message, hint: 'until then its requests are answered 500' });
    }
    const note = (place: string, backendProblem: BackendProblem) => {
      unresolved ??= backendProblem;
      report('MW1202', route, {
        path: `${path}.${place}`,
        message: `${backendProblem.reason}: ${backendProblem.message}`,
        hint: 'correct the reference; until then its share of requests is answered 500',
      });
    };
    const mirrors = mirrorsOf(route, rule.filters ?? [], context, note);
    const backends = (rule.backendRefs ?? []).map((ref, position): WeightedBackend => {
      const { backend, problem: backendProblem } = weightedBackend(route, ref, context);
      if (backendProblem) note(`backendRefs[${position}]`, backendProblem);
      return backend;
    });
    const action: HttpAction = problem
      ? unanswerable(`${problem.reason}: ${problem.message}`)
      : filters.redirect
        ? { kind: 'redirect', redirect: filters.redirect }
        : backends.length
          ? { kind: 'forward', backends }
          : unanswerable('the rule has no backendRefs');
    const { requestHeaders, responseHeaders, rewrite, cors } = filters;
    // A pattern that does not compile must not reach a proxy.
    const usable = matches.filter((match) => !matchProblem(match));
    return {
      keys: usable.map(matchKey),
      rule: {
        route: referenceTo(route),
        name,
        matches: usable,
        ...(requestHeaders ? { requestHeaders } : {}),
        ...(responseHeaders ? { responseHeaders } : {}),
        ...(rewrite ? { rewrite } : {}),
        ...(cors ? { cors } : {}),
        mirrors,
        timeouts: { ...context.timeoutsOf(route, name), ...timeoutsOf(rule.timeouts) },
        ...retryOf(rule.retry),
        ...breakersOf(context.circuitBreakers.ofRule(route, name)),
        ...retriesOf(route, name),
        action,
      },
    };
  });
  return {
    object: route,
    rules: compiled.filter(({ rule }) => rule.matches.length),
    resolvedRefs: resolvedRefs(unresolved),
    ...(invalid ? { invalid: { ...invalid, all: faulty === rules.length } } : {}),
  };
}

/** The rules of either kind in one shape; no rules, or no matches, mean everything. */
function rulesOf(route: RequestRouteObject): { rule: HttpRouteRule; matches: HttpMatch[] }[] {
  if (route.kind === 'GRPCRoute') {
    return orEverything(route.spec.rules).map(({ matches, ...rule }) => ({
      rule,
      matches: orEverything(matches).map(grpcMatch),
    }));
  }
  return orEverything(route.spec.rules).map((rule) => ({ rule, matches: orEverything(rule.matches).map(httpMatch) }));
}

function contradiction(
  rule: HttpRouteRule,
  matches: readonly HttpMatch[],
): { reason: string; message: string } | undefined {
  const problem = matches.map(matchProblem).find(Boolean);
  if (problem) return { reason: 'UnsupportedValue', message: problem };
  const { request, backendRequest } = timeoutsOf(rule.timeouts);
  if (request && backendRequest && backendRequest > request) {
    return { reason: 'UnsupportedValue', message: 'timeouts.backendRequest is longer than timeouts.request' };
  }
  return undefined;
}

/** Gateway API answers 500 for what has no backend. */
function unanswerable(problem: string): HttpAction {
  return { kind: 'forward', backends: [{ problem, weight: 1 }] };
}

function breakersOf(circuitBreakers: readonly RouteCircuitBreaker[]): Pick<HttpRule, 'circuitBreakers'> {
  return circuitBreakers.length ? { circuitBreakers } : {};
}

function mirrorsOf(
  route: RequestRouteObject,
  filters: readonly HttpRouteFilter[],
  context: BackendContext,
  note: (place: string, problem: BackendProblem) => void,
): Mirror[] {
  const mirrors: Mirror[] = [];
  for (const [index, { requestMirror }] of filters.entries()) {
    if (!requestMirror) continue;
    const { target, problem } = resolveBackend(route, requestMirror.backendRef, context);
    if (problem) note(`filters[${index}].requestMirror.backendRef`, problem);
    else mirrors.push({ target, percent: percentOf(requestMirror) });
  }
  return mirrors;
}

function percentOf({ percent, fraction }: NonNullable<HttpRouteFilter['requestMirror']>): number {
  if (fraction) return Math.min(100, (fraction.numerator / (fraction.denominator ?? 100)) * 100);
  return percent ?? 100;
}

function timeoutsOf({ request, backendRequest }: NonNullable<HttpRouteRule['timeouts']> = {}): Timeouts {
  return {
    ...(request ? { request: parseDuration(request) } : {}),
    ...(backendRequest ? { backendRequest: parseDuration(backendRequest) } : {}),
  };
}

function retryOf(retry: HttpRouteRule['retry']): { retry?: Retry } {
  const attempts = retry?.attempts ?? 1;
  if (!retry || attempts === 0) return {};
  const backoff = retry.backoff === undefined ? retryBackoff : parseDuration(retry.backoff);
  return { retry: { attempts, codes: retry.codes ?? retriedCodes, backoff } };
}
