import { type Balancer, type HashKey, parseDuration, type SessionCookie } from '../model/index.ts';
import type { LoadBalancingPolicyObject } from '../resources/index.ts';
import { outOfLimits, type Problem } from './duration-limits.ts';
import type { Inventory } from './inventory.ts';
import type { Report } from './report.ts';
import type { ServiceEntries, ServiceEntry } from './services.ts';
import { accepted, type ObjectStatus, ownStatus, referenceTo, type Verdict } from './status.ts';
import { conflictWith, resolveTargets } from './targets.ts';

type Spec = LoadBalancingPolicyObject['spec'];

/** Sets the balancers of the Services that LoadBalancingPolicies target; the oldest policy wins. */
export function applyLoadBalancingPolicies(
  inventory: Inventory,
  services: ServiceEntries,
  report: Report,
  statuses: ObjectStatus[],
): void {
  const owners = new Map<ServiceEntry, LoadBalancingPolicyObject>();
  for (const policy of inventory.all('LoadBalancingPolicy')) {
    const { targets, verdict: found } = resolveTargets(policy, services, report);
    let verdict: Verdict = found ?? accepted;
    for (const { service } of targets) {
      const conflict = conflictWith(owners.get(service), policy, `Service ${service.name}`, report);
      if (conflict) {
        verdict = conflict;
        continue;
      }
      const problem = problemOf(policy.spec, service);
      if (problem) {
        verdict = { holds: false, reason: 'Invalid', message: problem.message };
        report('MW1311', policy, problem);
        continue;
      }
      owners.set(service, policy);
      service.balancer = toBalancer(policy, service);
    }
    statuses.push(ownStatus(policy, verdict, found));
  }
}

/** Why a policy cannot be carried out for a Service. */
function problemOf(spec: Spec, service: ServiceEntry): Problem | undefined {
  const { algorithm, hashKey, sessionPersistence, preferSameZone, slowStart } = spec;
  const hashes = algorithm === 'RingHash' || algorithm === 'Maglev';
  if (hashes && !hashKey) {
    return {
      path: 'spec.algorithm',
      message: `${algorithm} needs to know what it hashes`,
      hint: 'add spec.hashKey, for example { header: x-user }',
    };
  }
  if (hashKey && !hashes) {
    return {
      path: 'spec.hashKey',
      message: `${algorithm} does not hash, so a hashKey says nothing`,
      hint: 'use RingHash or Maglev, or remove hashKey',
    };
  }
  for (const [field, value] of Object.entries({ sessionPersistence, preferSameZone, slowStart })) {
    if (!hashes || !value) continue;
    return {
      path: `spec.${field}`,
      message: `with ${algorithm} the key alone decides, so ${field} cannot`,
      hint: `remove ${field}, or use an algorithm that does not hash`,
    };
  }
  const bytesOnly = service.ports.every(({ protocol }) => protocol === 'tcp');
  if (bytesOnly && ((hashKey && !hashKey.source) || sessionPersistence)) {
    return {
      path: hashKey ? 'spec.hashKey' : 'spec.sessionPersistence',
      message: `Service ${service.name} has no HTTP port, so its requests have no headers, cookies and parameters`,
      hint: 'hash by { source: true }, or set the appProtocol of the port',
    };
  }
  if (sessionPersistence?.sameSite === 'None' && !sessionPersistence.secure) {
    return {
      path: 'spec.sessionPersistence.sameSite',
      message: 'browsers drop a cookie with sameSite None that is not secure',
      hint: 'set secure: true, or use Lax',
    };
  }
  return (
    outOfLimits('spec.slowStart.window', slowStart?.window, '1s', '1h') ??
    outOfLimits('spec.sessionPersistence.absoluteTimeout', sessionPersistence?.absoluteTimeout, '1s', '168h')
  );
}

const spreading = {
  PeakEWMA: 'peak-ewma',
  LeastRequest: 'least-request',
  RoundRobin: 'round-robin',
  Random: 'random',
} as const;

function toBalancer(policy: LoadBalancingPolicyObject, service: ServiceEntry): Balancer {
  const { algorithm, hashKey, sessionPersistence, preferSameZone, slowStart, panicThreshold } = policy.spec;
  const common = { policy: referenceTo(policy), ...(panicThreshold === undefined ? {} : { panicThreshold }) };
  if (algorithm === 'RingHash' || algorithm === 'Maglev') {
    return { kind: algorithm === 'Maglev' ? 'maglev' : 'ring-hash', by: toHashKey(hashKey!), ...common };
  }
  return {
    kind: spreading[algorithm],
    ...(sessionPersistence ? { session: toCookie(sessionPersistence, service) } : {}),
    ...(preferSameZone ? { preferSameZone: { ...preferSameZone } } : {}),
    ...(slowStart ? { slowStart: { window: parseDuration(slowStart.window) } } : {}),
    ...common,
  };
}

function toHashKey({ header, cookie, query }: NonNullable<Spec['hashKey']>): HashKey {
  if (header !== undefined) return { kind: 'header', name: header.toLowerCase() };
  if (cookie !== undefined) return { kind: 'cookie', name: cookie };
  return query === undefined ? { kind: 'source' } : { kind: 'query', name: query };
}

function toCookie(session: NonNullable<Spec['sessionPersistence']>, service: ServiceEntry): SessionCookie {
  const { sessionName, absoluteTimeout, path = '/', sameSite = 'Lax', secure = false } = session;
  return {
    name: sessionName ?? `mw-${service.object.metadata.name}`,
    path,
    ...(absoluteTimeout === undefined ? {} : { maxAge: Math.floor(parseDuration(absoluteTimeout) / 1000) }),
    sameSite,
    secure,
  };
}
