import {
  type AccessPolicy,
  type AccessRule,
  describeReference,
  type InboundPort,
  type ObjectReference,
  type OperationMatch,
  type PrincipalMatch,
  type SpiffeId,
} from '../model/index.ts';
import { type Matcher, matcher, matchPath } from './matcher.ts';
import type { NormalizedPath } from './path.ts';

/** What an access decision looks at. `method` and `path` are absent on TCP ports. */
export interface AccessRequest {
  /** The caller as its certificate proved; absent on plain text. */
  readonly principal?: SpiffeId;
  readonly method?: string;
  readonly path?: NormalizedPath;
}

export interface AccessDecision {
  readonly allowed: boolean;
  /** The policy and rule that decided; absent where none did. */
  readonly policy?: ObjectReference;
  readonly rule?: AccessRule;
  readonly reason: string;
}

/** An access rule with its compiled conditions: all must hold for it to match. */
export interface CompiledAccessRule {
  readonly policy: ObjectReference;
  readonly rule: AccessRule;
  readonly conditions: readonly Matcher<AccessRequest>[];
  /** What is decided when it matches. */
  readonly decision: AccessDecision;
}

export interface AccessDecider {
  /** A matching `deny` wins; else, where there are `allow` rules, one must match; else it is allowed. */
  decide(request: AccessRequest): AccessDecision;
  /** The rules that hold for the port, in the order they are asked. */
  readonly rules: readonly CompiledAccessRule[];
}

/**
 * Compiles the policies of a workload for one of its ports. What cannot be told is decided for safety: a condition
 * on a method or path that is absent or ambiguous holds in a `deny` and fails in an `allow`.
 */
export function compileAccess(policies: readonly AccessPolicy[], port: InboundPort): AccessDecider {
  const rules = policies
    .filter(({ ports }) => ports === undefined || ports.includes(port.port))
    .flatMap(({ policy, rules }) => rules.map((rule) => compileRule(policy, rule)));
  const denying = rules.filter(({ rule }) => rule.action === 'deny');
  const allowing = rules.filter(({ rule }) => rule.action === 'allow');
  const otherwise: AccessDecision =
    allowing.length === 0
      ? { allowed: true, reason: 'no allow rule restricts this port' }
      : { allowed: false, reason: 'no allow rule matches' };
  return {
    rules: [...denying, ...allowing],
    decide: (request) => firstDecision(denying, request) ?? firstDecision(allowing, request) ?? otherwise,
  };
}

function firstDecision(rules: readonly CompiledAccessRule[], request: AccessRequest): AccessDecision | undefined {
  for (const { conditions, decision } of rules) if (holdAll(conditions, request)) return decision;
  return undefined;
}

function holdAll(conditions: readonly Matcher<AccessRequest>[], request: AccessRequest): boolean {
  for (const condition of conditions) if (!condition.test(request)) return false;
  return true;
}

function compileRule(policy: ObjectReference, rule: AccessRule): CompiledAccessRule {
  const allowed = rule.action === 'allow';
  const reason = `${allowed ? 'allowed' : 'denied'} by rule ${rule.name} of ${describeReference(policy)}`;
  return {
    policy,
    rule,
    conditions: [
      ...(rule.from.length > 0 ? [anyOf(rule.from.map(matchPrincipal), 'caller is ')] : []),
      ...matchOperations(rule.to, !allowed),
    ],
    decision: { allowed, policy, rule, reason },
  };
}

/**
 * The condition that one of these is asked for; none where they do not restrict. `unclear` is the answer where the
 * request does not tell.
 */
export function matchOperations(
  operations: readonly OperationMatch[],
  unclear: boolean,
): readonly Matcher<AccessRequest>[] {
  const restricted = operations.every(({ methods, paths }) => methods.length > 0 || paths.length > 0);
  if (operations.length === 0 || !restricted) return [];
  return [anyOf(operations.map((operation) => matchOperation(operation, unclear)))];
}

function anyOf(alternatives: readonly Matcher<AccessRequest>[], prefix = ''): Matcher<AccessRequest> {
  const description = prefix + alternatives.map((alternative) => alternative.describe()).join(' or ');
  if (alternatives.length === 1) return matcher(description, alternatives[0].test);
  return matcher(description, (request) => {
    for (const alternative of alternatives) if (alternative.test(request)) return true;
    return false;
  });
}

function matchPrincipal(match: PrincipalMatch): Matcher<AccessRequest> {
  switch (match.kind) {
    case 'service-account':
      return matcher(
        `service account ${match.namespace}/${match.name}`,
        ({ principal }) => principal?.serviceAccount === match.name && principal.namespace === match.namespace,
      );
    case 'namespace':
      return matcher(`in namespace ${match.namespace}`, ({ principal }) => principal?.namespace === match.namespace);
    case 'authenticated':
      return matcher('authenticated', ({ principal }) => principal !== undefined);
  }
}

function matchOperation({ methods, paths }: OperationMatch, unclear: boolean): Matcher<AccessRequest> {
  const pathMatchers = paths.map(matchPath);
  const description = [
    ...(methods.length > 0 ? [`method is ${methods.join(' or ')}`] : []),
    ...(paths.length > 0 ? [pathMatchers.map((path) => path.describe()).join(' or ')] : []),
  ].join(' and ');
  return matcher(description, ({ method, path }) => {
    if (methods.length > 0 && !matchMethod(methods, method, unclear)) return false;
    if (pathMatchers.length === 0) return true;
    if (path === undefined || path.ambiguous) return unclear;
    for (const candidate of pathMatchers) if (candidate.test(path.path)) return true;
    return false;
  });
}

/** Methods are compared as they are written (RFC 9110 section 9.1), but some applications read `delete` as `DELETE`. */
function matchMethod(methods: readonly string[], method: string | undefined, unclear: boolean): boolean {
  if (method === undefined) return unclear;
  return methods.includes(method) || (unclear && methods.includes(method.toUpperCase()));
}
