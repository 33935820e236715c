import type { IConstruct } from 'constructs';
import { type HttpCondition, Match } from '../match.ts';
import type { PathChange, RedirectProps, RouteRule } from '../route-rule.ts';
import type { Check } from './check.ts';
import { checkCors } from './cors.ts';
import { checkDuration } from './duration.ts';
import { pathProblem } from './match-rules.ts';
import { checkHedge, checkRetry } from './retries.ts';
import { checkHostname, checkPortNumber, quote } from './rules.ts';

/** Reports what is wrong with those parts of a rule that only HTTP has. */
export function checkHttpRule(check: Check, route: IConstruct, label: string, rule: RouteRule): void {
  const alternatives = Match._alternatives(rule.match);
  if (rule.redirect) checkRedirect(check, route, label, rule.redirect, alternatives);
  if (rule.rewrite?.host) checkHostname(check, route, rule.rewrite.host);
  checkPathChange(check, route, `${label}: rewrite`, rule.rewrite?.path, alternatives);
  if (rule.cors) checkCors(check, route, label, rule.cors);
  if (rule.retry) checkRetry(check, route, label, rule.retry);
  if (rule.hedge) checkHedge(check, route, label, rule);

  const { timeout, backendTimeout } = rule;
  if (timeout) checkDuration(check, route, `${label}: timeout`, timeout);
  if (backendTimeout) checkDuration(check, route, `${label}: backendTimeout`, backendTimeout);
  const [all, one] = [timeout, backendTimeout].map((duration) => duration?.toMilliseconds({ integral: false }));
  if (all !== undefined && one !== undefined && one > all) {
    check.report(
      'MW1245',
      route,
      `${label}: one try may take ${one} ms, longer than all tries together (${all} ms)`,
      'make `backendTimeout` at most as long as `timeout`',
    );
  }
}

function checkRedirect(
  check: Check,
  route: IConstruct,
  label: string,
  redirect: RedirectProps,
  alternatives: readonly (readonly HttpCondition[])[],
): void {
  const { scheme, host, port, path, status = 302 } = redirect;
  if (host) checkHostname(check, route, host);
  if (port !== undefined) checkPortNumber(check, route, `${label}: the port of the redirect`, port);
  checkPathChange(check, route, `${label}: redirect`, path, alternatives);
  if (!scheme && !host && port === undefined && !path) {
    check.report(
      'MW1247',
      route,
      `${label} redirects every request to itself`,
      'state a scheme, host, port or path that is different',
    );
  }
  if (![301, 302, 303, 307, 308].includes(status)) {
    check.report(
      'MW1247',
      route,
      `${label}: the status of the redirect is ${status}; allowed are 301, 302, 303, 307 and 308`,
      'use 301 or 308 where it holds for ever, else 302 or 307',
    );
  }
}

function checkPathChange(
  check: Check,
  route: IConstruct,
  place: string,
  change: PathChange | undefined,
  alternatives: readonly (readonly HttpCondition[])[],
): void {
  if (!change) return;
  const problem = pathProblem(change.value);
  if (problem)
    check.report('MW1241', route, `${place}: path ${quote(change.value)} ${problem}`, 'write it as /new/path');
  if (change.type === 'ReplaceFullPath') return;
  const matchesPrefix = (conditions: readonly HttpCondition[]) =>
    conditions.some((condition) => condition.kind === 'path' && condition.type === 'PathPrefix');
  if (alternatives.every(matchesPrefix)) return;
  check.report(
    'MW1248',
    route,
    `${place}: PathChange.prefix(${quote(change.value)}) replaces what Path.prefix matched, but the rule has no Path.prefix`,
    'match by Path.prefix, or replace the path as a whole with PathChange.full',
  );
}
