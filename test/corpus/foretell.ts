import type { summarise } from '../../runtime/cli/decision-report.ts';
import { applyHeaderChange, headersByName } from '../../runtime/engine/index.ts';
import type { HeaderChange } from '../../runtime/model/index.ts';
import type { Expectation } from './corpus.ts';

/** What `simulate -o json` says. */
type Report = ReturnType<typeof summarise>;
type Target = Report['targets'][number];

/**
 * What `simulate -o json` says of the same things as an expectation, in its words: equal to it where it holds. Of
 * headers only those are told that the expectation names.
 */
export function foretell(report: Report, wanted: Expectation): Expectation {
  const { targets, mirrors, hedging, timeouts, cors, retry } = report;
  const [first] = targets;
  return {
    ...outcomeOf(report),
    ...(wanted.timeouts && { timeouts: { ...timeouts } }),
    ...(wanted.retry !== undefined && { retry: retry ? only(wanted.retry, retry) : null }),
    ...(wanted.retryBudget && { retryBudget: byTarget(targets, ({ retryBudget }) => retryBudget?.percent) }),
    ...(wanted.hedge !== undefined && { hedge: hedging?.delay ?? null }),
    ...(wanted.limits && { limits: limitsOf(targets) }),
    ...(wanted.circuitBreakers && { circuitBreakers: breakersOf(targets) }),
    ...(wanted.outlierDetection && { outlierDetection: byTarget(targets, ({ outlierDetection }) => outlierDetection) }),
    ...(wanted.mirrors && {
      mirrors: Object.fromEntries(mirrors.map(({ target, percent }) => [shortName(target.service), percent])),
    }),
    ...(wanted.balancing && {
      balancing: byTarget(
        targets,
        ({ balancing }) =>
          balancing && { kind: balancing.kind, ...(balancing.key !== undefined && { key: balancing.key }) },
      ),
    }),
    ...(wanted.forwarded && { forwarded: seenOf(first?.forwarded, wanted.forwarded) }),
    ...(wanted.responseHeaders && {
      responseHeaders: named(wanted.responseHeaders, changed(wanted.responseHeaders, first?.responseHeaders ?? [])),
    }),
    ...(wanted.allowOrigin !== undefined && {
      allowOrigin: headersByName(cors?.fields ?? [])['access-control-allow-origin'] ?? null,
    }),
  };
}

function outcomeOf({ route, rule, status, location, targets }: Report): Expectation {
  const denying = targets.flatMap(({ receivers }) => receivers).find(({ allowed, policy }) => !allowed && policy);
  const fault = targets.flatMap(({ faults = [] }) => faults).find(({ probability }) => probability === 1);
  const probabilities = targets.map(({ service, probability }) => [shortName(service), probability]);
  return {
    // A service without a route has a rule of its own.
    ...(route && rule && !route.startsWith('Service ') && { rule: `${route} ${rule}` }),
    ...(targets.length && { targets: Object.fromEntries(probabilities) }),
    ...(status && { status }),
    ...(denying && { deniedBy: `${denying.policy} ${denying.rule}` }),
    ...(fault && { fault: `${fault.policy} ${fault.fault}` }),
    ...(location && { location }),
  };
}

/** Every version of a service has the limits of the service: each is named once. */
function limitsOf(targets: readonly Target[]): string[] {
  const limits = targets.flatMap(({ receivers }) => receivers.flatMap(({ limits = [] }) => limits));
  return [...new Set(limits.map(({ policy, limit }) => `${policy} ${limit}`))];
}

function breakersOf(targets: readonly Target[]): Record<string, Record<string, number>> {
  const breakers = targets.flatMap(({ circuitBreakers = [] }) => circuitBreakers);
  return Object.fromEntries(breakers.map(({ policy, limits }) => [policy, { ...limits }]));
}

function byTarget<Value>(targets: readonly Target[], tell: (target: Target) => Value | undefined) {
  return Object.fromEntries(
    targets.flatMap((target) => {
      const told = tell(target);
      return told === undefined ? [] : [[shortName(target.service), told]];
    }),
  );
}

function seenOf(seen: Target['forwarded'], wanted: NonNullable<Expectation['forwarded']>): Expectation['forwarded'] {
  if (!seen) return {};
  return { ...only(wanted, seen), ...(wanted.headers && { headers: named(wanted.headers, seen.headers) }) };
}

/** The headers of an answer after changes, which had before what it must not have. */
function changed(
  wanted: NonNullable<Expectation['responseHeaders']>,
  changes: readonly HeaderChange[],
): Record<string, string> {
  const unwanted = Object.keys(wanted).filter((name) => wanted[name] === null);
  const answered = unwanted.flatMap((name) => [name, 'from the application']);
  return headersByName(changes.reduce(applyHeaderChange, answered));
}

/** The headers that are asked for, `null` where there is none of that name. */
export function named(
  wanted: Readonly<Record<string, string | null>>,
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
): Record<string, string | null> {
  return Object.fromEntries(Object.keys(wanted).map((name) => [name, headers[name]?.toString() ?? null]));
}

/** Those fields of a value that something else has, too. */
function only<Value extends object>(wanted: object | null, value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([name]) => wanted && name in wanted)) as Value;
}

function shortName(service = 'nowhere'): string {
  return service.slice(service.indexOf('/') + 1);
}
