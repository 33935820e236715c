import {
  type AccessConsideration,
  abortStatus,
  type BalancingDecision,
  type BreakerConsideration,
  type ClientDecision,
  type Decision,
  describeDetection,
  describeHeaderChange,
  type FaultConsideration,
  forwardedTo,
  type RateLimitConsideration,
  type ReceiverDecision,
  type RouteConsideration,
  sameTimeouts,
  type TargetDecision,
  type Verdict,
} from '../engine/index.ts';
import {
  describeReference,
  type ObjectReference,
  type OutlierDetection,
  type Rewrite,
  type Timeouts,
} from '../model/index.ts';

/** A decision as data: names instead of the compiled objects that made it. */
export function summarise(decision: Decision) {
  const {
    outcome,
    reason,
    rule,
    connection,
    client,
    location,
    cors,
    timeouts,
    retry,
    hedging,
    mirrors,
    targets,
    delivered,
  } = decision;
  return {
    outcome,
    status: statusOf(decision),
    reason,
    route: routeOf(rule ?? connection),
    rule: rule?.name,
    client,
    location,
    cors,
    targets: targets.map((decided) => ({
      service: decided.target?.service,
      port: decided.target?.port,
      probability: decided.probability,
      status: decided.status,
      problem: decided.problem,
      forwarded: forwardedTo(decided),
      responseHeaders: decided.responseHeaders,
      balancing: decided.balancing && summariseBalancing(decided.balancing),
      retryBudget: retry && decided.retryBudget,
      faults: decided.faults?.filter(({ probability }) => probability > 0).map(summariseFault),
      circuitBreakers: decided.circuitBreakers?.map(summariseBreaker),
      outlierDetection: decided.outlierDetection && describeReference(decided.outlierDetection.policy),
      timeouts: decided.timeouts && !sameTimeouts(decided.timeouts, timeouts) ? decided.timeouts : undefined,
      receivers: decided.receivers.map(({ workload, probability, mtls, client, allowed, reason, access, limits }) => ({
        workload,
        probability,
        mtls,
        client,
        allowed,
        reason,
        policy: access?.decision.policy && describeReference(access.decision.policy),
        rule: access?.decision.rule?.name,
        limits: limits
          ?.filter(({ counted }) => counted)
          .map(({ policy, limit }) => ({ policy: describeReference(policy), limit: limit.name })),
      })),
    })),
    timeouts,
    retry,
    hedging,
    mirrors,
    delivered,
  };
}

function routeOf(decided: { readonly route?: ObjectReference } | undefined): string | undefined {
  return decided?.route && describeReference(decided.route);
}

/** Of the answer, where it is certain to come from a proxy. */
function statusOf(decision: Decision): number | undefined {
  const { status, targets } = decision;
  if (status !== undefined) return status;
  const aborted = abortStatus(decision);
  if (aborted !== undefined) return aborted;
  const receivers = targets.flatMap((target) => (target.request ? target.receivers : []));
  return receivers.length > 0 && receivers.every(({ allowed, access }) => !allowed && access) ? 403 : undefined;
}

/** What was considered and why it did or did not decide, as data. */
export function summariseReasons({ route, targets }: Decision) {
  return {
    routes: (route?.considered ?? []).map(({ rule, verdict, reason }) => ({
      route: describeReference(rule.route),
      rule: rule.name,
      verdict,
      reason,
    })),
    balancing: targets.flatMap(({ target, balancing }) =>
      balancing ? [{ service: target?.service, key: balancing.key, reason: balancing.reason }] : [],
    ),
    faults: targets.flatMap(({ faults = [] }) => faults.map(summariseFault)),
    circuitBreakers: targets.flatMap(({ circuitBreakers = [] }) => circuitBreakers.map(summariseBreaker)),
    outlierDetection: targets.flatMap(({ target, outlierDetection }) =>
      outlierDetection
        ? [
            {
              service: target?.service,
              policy: describeReference(outlierDetection.policy),
              reason: describeDetection(outlierDetection),
            },
          ]
        : [],
    ),
    access: targets.flatMap(({ receivers }) =>
      receivers.map(({ workload, access, limits }) => ({
        workload,
        limits: limits?.map(({ policy, limit, counted, reason }) => ({
          policy: describeReference(policy),
          limit: limit.name,
          counted,
          reason,
        })),
        rules: (access?.considered ?? []).map(({ policy, rule, verdict, reason }) => ({
          policy: describeReference(policy),
          rule: rule.name,
          action: rule.action,
          verdict,
          reason,
        })),
      })),
    ),
  };
}

function summariseBalancing({ balancer, key }: BalancingDecision) {
  return { kind: balancer.kind, policy: balancer.policy && describeReference(balancer.policy), key };
}

function summariseBreaker({ policy, target, limits, reason }: BreakerConsideration) {
  return { policy: describeReference(policy), target, limits, reason };
}

function summariseFault({ policy, fault, probability, reason }: FaultConsideration) {
  return { policy: describeReference(policy), fault: fault.name, probability, reason };
}

/** Where a request goes, for people. */
export function formatDecision(decision: Decision): string {
  const { client, location, cors, rule, timeouts, retry, hedging, mirrors, targets } = decision;
  const status = statusOf(decision);
  const lines = [`${status === undefined ? '' : `${status}: `}${decision.reason}`];
  if (client) lines.push(`  client    ${describeClient(client)}`);
  if (location) lines.push(`  location  ${location}`);
  if (cors) lines.push(`  cors      ${cors.reason}`);
  for (const target of targets) {
    lines.push(`  ${percent(target.probability)}  ${describeTarget(target)}`);
    lines.push(...describeChanges(target, rule?.rewrite).map((change) => `         ${change}`));
    for (const fault of target.faults ?? []) if (fault.probability > 0) lines.push(`       ${describeFault(fault)}`);
    for (const receiver of target.receivers) {
      lines.push(`         ${describeReceiver(receiver)}`);
      if (receiver.client) lines.push(`         client ${describeClient(receiver.client)}`);
    }
  }
  lines.push(...describeTimeouts(timeouts, ''));
  for (const { target, timeouts: own } of targets) {
    if (own && !sameTimeouts(own, timeouts)) lines.push(...describeTimeouts(own, ` to ${target?.service}`));
  }
  if (retry) {
    const causes = [...retry.codes, ...(retry.grpcStatuses ?? []), 'lost connections'];
    lines.push(`  retry     ${retry.attempts} times on ${causes.join(', ')}`);
    for (const target of targets) lines.push(...describeBudget(target));
  }
  if (hedging) lines.push(`  hedge     a second try after ${hedging.delay} ms`);
  for (const { target, percent } of mirrors) lines.push(`  mirror    ${percent}% to ${target.service}:${target.port}`);
  if (targets.length > 0) lines.push(`  delivered ${percent(decision.delivered).trim()}`);
  return lines.join('\n');
}

/** Which rule decided, at each end, and why the others did not, for people. */
export function formatReasons({ route, targets }: Decision): string {
  const lines: string[] = [];
  if (route && route.considered.length > 0) lines.push('route', ...route.considered.map(describeRoute));
  for (const { target, balancing, circuitBreakers = [], outlierDetection, faults = [], receivers } of targets) {
    if (circuitBreakers.length > 0) {
      lines.push(`circuit breakers on the way to ${target?.service}`, ...circuitBreakers.map(describeBreaker));
    }
    if (faults.length > 0) lines.push(`faults on the way to ${target?.service}`, ...faults.map(describeFault));
    if (balancing) lines.push(`endpoint of ${target?.service}`, `  * ${balancing.reason}`);
    if (outlierDetection) lines.push(describeOutliers(outlierDetection));
    for (const { workload, access, limits = [] } of receivers) {
      lines.push(`access at ${workload ?? 'a workload outside the mesh'}`);
      lines.push(
        ...(access?.considered.length ? access.considered.map(describeAccess) : ['  - no rule holds for this port']),
      );
      if (limits.length > 0) lines.push(`rate limits at ${workload}`, ...limits.map(describeLimit));
    }
  }
  return lines.join('\n');
}

const marks: Readonly<Record<Verdict, string>> = { decided: '*', 'not-first': '-', 'no-match': '-' };

function describeRoute({ rule, verdict, reason }: RouteConsideration): string {
  return `  ${marks[verdict]} rule ${rule.name} of ${describeReference(rule.route)}: ${reason}`;
}

function describeAccess({ policy, rule, verdict, reason }: AccessConsideration): string {
  return `  ${marks[verdict]} ${rule.action} rule ${rule.name} of ${describeReference(policy)}: ${reason}`;
}

function describeBreaker({ policy, target, reason }: BreakerConsideration): string {
  return `  * ${describeReference(policy)} limits ${target}: ${reason}`;
}

function describeOutliers(detection: OutlierDetection): string {
  return `  * one that fails is ${describeDetection(detection)}; so says ${describeReference(detection.policy)}`;
}

function describeFault({ policy, fault, probability, reason }: FaultConsideration): string {
  const mark = probability > 0 ? '*' : '-';
  return `  ${mark} ${percent(probability)} fault ${fault.name} of ${describeReference(policy)}: ${reason}`;
}

function describeLimit({ policy, limit, counted, reason }: RateLimitConsideration): string {
  return `  ${counted ? '*' : '-'} limit ${limit.name} of ${describeReference(policy)}: ${reason}`;
}

function describeTarget({ target, status, problem }: TargetDecision): string {
  const where = target ? `${target.service}:${target.port}` : 'nowhere';
  return problem ? `${where}, answered ${status}: ${problem}` : where;
}

/** What a rule makes of a request that is sent on, and of its answer. */
function describeChanges(target: TargetDecision, rewrite: Rewrite | undefined): string[] {
  const sent = forwardedTo(target);
  if (!sent) return [];
  const rewritten = [
    ...(rewrite?.path ? [`path ${sent.path}`] : []),
    ...(rewrite?.host === undefined ? [] : [`host ${sent.host}`]),
  ];
  const { requestHeaders, responseHeaders } = target;
  return [
    ...(rewritten.length > 0 ? [`rewritten: ${rewritten.join(', ')}`] : []),
    ...(requestHeaders.length > 0 ? [`request headers: ${requestHeaders.map(describeHeaderChange).join('; ')}`] : []),
    ...(responseHeaders.length > 0
      ? [`response headers: ${responseHeaders.map(describeHeaderChange).join('; ')}`]
      : []),
  ];
}

function describeTimeouts(timeouts: Timeouts, where: string): string[] {
  const { request, backendRequest, streamIdle, maxStreamDuration } = timeouts;
  return [
    ...(request ? [`  timeout   ${request} ms${where}`] : []),
    ...(backendRequest ? [`  timeout   ${backendRequest} ms a try${where}`] : []),
    ...(streamIdle ? [`  timeout   ${streamIdle} ms without a byte${where}`] : []),
    ...(maxStreamDuration ? [`  timeout   ${maxStreamDuration} ms, of tunnels too${where}`] : []),
  ];
}

function describeBudget({ target, retryBudget }: TargetDecision): string[] {
  if (!retryBudget) return [];
  const { percent: share, interval, minRetryRate } = retryBudget;
  const least = `${minRetryRate.count} in ${minRetryRate.interval} ms`;
  return [`  budget    of ${target?.service}: ${share}% of the requests of ${interval} ms, or ${least}`];
}

function describeClient({ address, reason }: ClientDecision): string {
  return `${address}: ${reason}`;
}

function describeReceiver({ workload, mtls, allowed, reason }: ReceiverDecision): string {
  const link = mtls ? 'mutual TLS' : 'plain text';
  return `${workload ?? 'outside the mesh'} (${link}) ${allowed ? 'allows' : 'denies'} it: ${reason}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1).replace(/\.0$/, '')}%`.padStart(5);
}
