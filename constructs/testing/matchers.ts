import type { Duration } from 'cdk8s';
import type { Retry } from '../../runtime/model/index.ts';
import type { ITarget } from '../interfaces.ts';
import type { Simulation } from './simulate.ts';

interface Result {
  readonly pass: boolean;
  readonly message: () => string;
}

/** Shares of requests differ by rounding only. */
const tolerance = 1e-9;

/**
 * Matchers for what {@link simulate} returns; install them once with `expect.extend(meshMatchers)`.
 *
 * `toDeny` also holds for a call that the caller does not declare, as its own proxy then refuses to send it.
 */
export const meshMatchers = {
  toRouteTo(received: Simulation, expected: ITarget | readonly ITarget[]): Result {
    const shares = sharesOf(expected);
    const names = new Set([...Object.keys(shares), ...Object.keys(received.targets)]);
    const pass = [...names].every((name) => Math.abs((shares[name] ?? 0) - (received.targets[name] ?? 0)) < tolerance);
    return result(
      pass,
      received,
      `route to ${describeShares(shares)}`,
      `it goes to ${describeShares(received.targets)}`,
    );
  },

  toAllow(received: Simulation): Result {
    return result(received.access.allowed, received, 'be allowed', describeAccess(received));
  },

  toDeny(received: Simulation, rule?: string): Result {
    const { denied, rules } = received.access;
    const pass = denied && (rule === undefined || rules.includes(rule));
    const by = rule === undefined ? '' : ` by rule ${rule}`;
    return result(pass, received, `be denied${by}`, describeAccess(received));
  },

  toBeRateLimited(received: Simulation, limit?: string): Result {
    const names = received.limits.map(({ name }) => name);
    const pass = limit === undefined ? names.length > 0 : names.includes(limit);
    const by = limit === undefined ? '' : ` by ${limit}`;
    const actual = names.length ? `it is counted by ${names.join(', ')}` : 'no rate limit counts it';
    return result(pass, received, `be rate limited${by}`, actual);
  },

  toMeetFault(received: Simulation, fault: string, probability?: number): Result {
    const { faults } = received;
    const actual = faults[fault] ?? 0;
    const pass = probability === undefined ? actual > 0 : Math.abs(actual - probability) < tolerance;
    const with_ = probability === undefined ? '' : ` with probability ${probability}`;
    return result(pass, received, `meet fault ${fault}${with_}`, `it meets ${describeShares(faults)}`);
  },

  toShareWith(received: Simulation, origin: string): Result {
    const { cors } = received;
    const pass = cors?.allowed === true && cors.origin === origin;
    const actual = cors ? cors.reason : 'the rule says nothing of origins';
    return result(pass, received, `be shared with pages of ${origin}`, actual);
  },

  toRedirectTo(received: Simulation, location: string, status?: number): Result {
    const pass = received.location === location && (status === undefined || received.status === status);
    const with_ = status === undefined ? '' : ` with status ${status}`;
    const actual = received.location
      ? `it is redirected to ${received.location} with status ${received.status}`
      : 'it is not redirected';
    return result(pass, received, `be redirected to ${location}${with_}`, actual);
  },

  toRefuseWith(received: Simulation, status: number): Result {
    const pass = received.outcome !== 'redirect' && received.status === status;
    const actual = received.status === undefined ? 'it is sent on' : `its status is ${received.status}`;
    return result(pass, received, `be refused with status ${status}`, actual);
  },

  toRetry(received: Simulation, expected: Partial<Retry> = {}): Result {
    const { retry } = received;
    const pass =
      retry !== undefined &&
      Object.entries(expected).every(
        ([key, value]) => JSON.stringify(retry[key as keyof Retry]) === JSON.stringify(value),
      );
    const actual = retry ? `it is retried as ${JSON.stringify(retry)}` : 'it is not retried';
    return result(pass, received, `be retried as ${JSON.stringify(expected)}`, actual);
  },

  toTimeOutAfter(received: Simulation, limit: Duration): Result {
    const milliseconds = limit.toMilliseconds();
    const { request } = received.timeouts;
    const actual = request ? `it times out after ${request} ms` : 'it has no time limit';
    return result(request === milliseconds, received, `time out after ${milliseconds} ms`, actual);
  },

  toMirrorTo(received: Simulation, target: ITarget): Result {
    const name = qualifiedNameOf(target);
    const mirrored = received.mirrors.map((mirror) => mirror.target.service);
    const actual = mirrored.length ? `it is mirrored to ${mirrored.join(', ')}` : 'it is not mirrored';
    return result(mirrored.includes(name), received, `be mirrored to ${name}`, actual);
  },
};

function result(pass: boolean, received: Simulation, wanted: string, actual: string): Result {
  return {
    pass,
    message: () =>
      [
        `expected the request ${pass ? 'not ' : ''}to ${wanted}, but ${actual}`,
        ...received.why.map((why) => `  ${why}`),
      ].join('\n'),
  };
}

function sharesOf(expected: ITarget | readonly ITarget[]): Readonly<Record<string, number>> {
  const backends = ('_backend' in expected ? [expected] : expected).map((target) => target._backend());
  const total = backends.reduce((sum, { weight = 1 }) => sum + weight, 0);
  return Object.fromEntries(backends.map(({ name, weight = 1 }) => [name, weight / total]));
}

function describeShares(shares: Readonly<Record<string, number>>): string {
  const entries = Object.entries(shares).filter(([, share]) => share > 0);
  if (entries.length === 0) return 'nothing';
  return entries.map(([name, share]) => `${name} (${Number((share * 100).toFixed(2))} %)`).join(', ');
}

function describeAccess({ access, outcome, status }: Simulation): string {
  if (access.reasons.length)
    return `it is ${access.allowed ? 'allowed' : access.denied ? 'denied' : 'allowed by some targets only'}: ${access.reasons.join('; ')}`;
  return outcome === 'forward' ? 'no target is there' : `it is not sent on: status ${status}`;
}

function qualifiedNameOf(target: ITarget): string {
  const { service, name } = target._backend();
  return `${service.namespace}/${name}`;
}

declare module 'expect' {
  interface Matchers<R extends void | Promise<void>> {
    /** It goes to this target alone, or to these with the shares that their weights say. */
    toRouteTo(target: ITarget | readonly ITarget[]): R;
    /** It reaches an application, whichever target it goes to. */
    toAllow(): R;
    /** No target lets it through; where a rule is named, by that rule. */
    toDeny(rule?: string): R;
    /** A rate limit of a target counts it; where one is named, that one. */
    toBeRateLimited(limit?: string): R;
    /** A try of it meets this fault; where a probability is stated, with exactly that one. */
    toMeetFault(fault: string, probability?: number): R;
    /** Its `origin` is this one, and the rule lets pages of it read what is answered. */
    toShareWith(origin: string): R;
    toRedirectTo(location: string, status?: number): R;
    /** It is answered with this status instead of reaching an application. */
    toRefuseWith(status: number): R;
    /** A failed try is repeated; what is stated must be equal. */
    toRetry(expected?: Partial<Retry>): R;
    toTimeOutAfter(limit: Duration): R;
    toMirrorTo(target: ITarget): R;
  }
}
