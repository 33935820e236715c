import { type ProxyLimitName, proxyLimitNames, proxyLimits } from '../../runtime/model/index.ts';

/*
 * Objects that everybody refuses: the API server, and who reads files. One for each rule at least.
 */

interface RefusedObject {
  readonly kind: string;
  readonly spec: Readonly<Record<string, unknown>>;
  /** Where the API server says it is. */
  readonly place: string;
  /** What its rule says. */
  readonly says: string;
}

const targetRefs = [{ group: '', kind: 'Service', name: 'cart' }];
const access = (rule: object) => ({ targetRefs, rules: [{ action: 'Allow', ...rule }] });
const balance = (spec: object) => ({ targetRefs, algorithm: 'LeastRequest', ...spec });
const limit = (limit: object) => ({ targetRefs, limits: [{ requests: 1, interval: '1s', ...limit }] });
const fault = (...faults: object[]) => ({ targetRefs, faults });
const breaker = (spec: object) => ({ targetRefs, ...spec });
const route = { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'cart' };
const retries = (spec: object, ...kinds: string[]) => ({
  targetRefs: kinds.map((kind) => ({
    group: kind === 'Service' ? '' : 'gateway.networking.k8s.io',
    kind,
    name: 'cart',
  })),
  ...spec,
});
const oneOfThree =
  'must have exactly one of retry, for GRPCRoutes, hedging, for HTTPRoutes, and retryConstraint, for Services';
const retryTarget =
  'a Service is of the core group and has no sectionName here; routes are of gateway.networking.k8s.io';
const oneOf = (...names: string[]) => `must have exactly one of ${names.join(', ')}`;
const principals = oneOf('serviceAccount', 'namespace', 'authenticated');
const keys = oneOf('header', 'cookie', 'query', 'source');

/** A limit of a Mesh that is a time, and longer than it may be. */
const tooLong = (name: ProxyLimitName): RefusedObject => ({
  kind: 'Mesh',
  spec: { limits: { [name]: '9999h' } },
  place: `spec.limits.${name}`,
  says: `must be from ${proxyLimits[name].least}ms to ${proxyLimits[name].most}ms`,
});

export const refusedObjects: readonly RefusedObject[] = [
  ...proxyLimitNames.filter((name) => proxyLimits[name].unit === 'milliseconds').map(tooLong),
  { kind: 'RetryPolicy', spec: retries({}, 'Service'), place: 'spec', says: oneOfThree },
  {
    kind: 'RetryPolicy',
    spec: retries({ retryConstraint: {}, hedging: { delay: '1s' } }, 'Service'),
    place: 'spec',
    says: oneOfThree,
  },
  {
    kind: 'RetryPolicy',
    spec: retries({ hedging: { delay: '1s' } }, 'HTTPRoute', 'GRPCRoute'),
    place: 'spec',
    says: oneOfThree,
  },
  {
    kind: 'RetryPolicy',
    spec: { targetRefs: [{ ...targetRefs[0], sectionName: 'http' }], retryConstraint: {} },
    place: 'spec.targetRefs[0]',
    says: retryTarget,
  },
  {
    kind: 'RetryPolicy',
    spec: { targetRefs, retryConstraint: { minRetryRate: { interval: '2h' } } },
    place: 'spec.retryConstraint.minRetryRate.interval',
    says: 'must be more than 0 and at most 1h',
  },
  {
    kind: 'RetryPolicy',
    spec: { targetRefs: [{ group: '', kind: 'HTTPRoute', name: 'cart' }], hedging: { delay: '1s' } },
    place: 'spec.targetRefs[0]',
    says: retryTarget,
  },
  { kind: 'AccessPolicy', spec: access({ from: [{}] }), place: 'spec.rules[0].from[0]', says: principals },
  {
    kind: 'AccessPolicy',
    spec: access({ from: [{ namespace: 'a', authenticated: true }] }),
    place: 'spec.rules[0].from[0]',
    says: principals,
  },
  {
    kind: 'AccessPolicy',
    spec: access({ to: [{}] }),
    place: 'spec.rules[0].to[0]',
    says: 'must have methods, paths, or both',
  },
  {
    kind: 'AccessPolicy',
    spec: access({ to: [{ paths: [{ type: 'Exact', value: 'api' }] }] }),
    place: 'spec.rules[0].to[0].paths[0]',
    says: 'value must begin with /',
  },
  {
    kind: 'AccessPolicy',
    spec: { ...access({}), targetRefs: [...targetRefs, ...targetRefs] },
    place: 'spec.targetRefs',
    says: 'must not name a target twice',
  },
  {
    kind: 'FaultPolicy',
    spec: fault({ abort: { httpStatus: 500 }, bandwidth: { response: 1 } }),
    place: 'spec.faults[0]',
    says: 'must have a delay, an abort or a bandwidth, and not both of the latter',
  },
  {
    kind: 'FaultPolicy',
    spec: fault({ bandwidth: {} }),
    place: 'spec.faults[0].bandwidth',
    says: 'must have request, response, or both',
  },
  {
    kind: 'LoadBalancingPolicy',
    spec: balance({ hashKey: { header: 'x-user' } }),
    place: 'spec',
    says: 'hashKey goes with RingHash and Maglev, and they with it',
  },
  {
    kind: 'LoadBalancingPolicy',
    spec: balance({ algorithm: 'Maglev' }),
    place: 'spec',
    says: 'hashKey goes with RingHash and Maglev, and they with it',
  },
  {
    kind: 'LoadBalancingPolicy',
    spec: balance({ algorithm: 'RingHash', hashKey: { source: true }, preferSameZone: { minEndpoints: 1 } }),
    place: 'spec',
    says: 'where a key decides, sessionPersistence, preferSameZone and slowStart cannot',
  },
  {
    kind: 'LoadBalancingPolicy',
    spec: balance({ algorithm: 'Maglev', hashKey: { header: 'a', cookie: 'b' } }),
    place: 'spec.hashKey',
    says: keys,
  },
  {
    kind: 'LoadBalancingPolicy',
    spec: balance({ sessionPersistence: { sameSite: 'None' } }),
    place: 'spec.sessionPersistence',
    says: 'browsers drop a cookie with sameSite None that is not secure',
  },
  {
    kind: 'LoadBalancingPolicy',
    spec: balance({ sessionPersistence: { absoluteTimeout: '169h' } }),
    place: 'spec.sessionPersistence.absoluteTimeout',
    says: 'must be from 1s to 168h',
  },
  {
    kind: 'LoadBalancingPolicy',
    spec: balance({ slowStart: { window: '500ms' } }),
    place: 'spec.slowStart.window',
    says: 'must be from 1s to 1h',
  },
  {
    kind: 'RateLimitPolicy',
    spec: limit({ interval: '0s' }),
    place: 'spec.limits[0].interval',
    says: 'must not be 0',
  },
  {
    kind: 'RateLimitPolicy',
    spec: limit({ key: { caller: true, header: 'x-user' } }),
    place: 'spec.limits[0].key',
    says: oneOf('caller', 'header'),
  },
  {
    kind: 'FaultPolicy',
    spec: fault({ percent: 10 }),
    place: 'spec.faults[0]',
    says: 'must have a delay, an abort or a bandwidth, and not both of the latter',
  },
  {
    kind: 'FaultPolicy',
    spec: fault({ abort: { httpStatus: 503, grpcStatus: 'UNAVAILABLE' } }),
    place: 'spec.faults[0].abort',
    says: oneOf('httpStatus', 'grpcStatus'),
  },
  {
    kind: 'MtlsPolicy',
    spec: { mode: 'Strict', targetRefs: [{ group: '', kind: 'Namespace', name: 'shop', sectionName: 'http' }] },
    place: 'spec.targetRefs[0]',
    says: 'a Namespace has no ports: sectionName is for a Service',
  },
  {
    kind: 'CircuitBreakerPolicy',
    spec: breaker({}),
    place: 'spec',
    says: 'must have maxConnections, maxPendingRequests or maxRequests',
  },
  {
    kind: 'CircuitBreakerPolicy',
    spec: breaker({ targetRefs: [route], maxConnections: 1 }),
    place: 'spec',
    says: 'a route has no connections of its own: maxConnections is for Services',
  },
  {
    kind: 'CircuitBreakerPolicy',
    spec: breaker({ targetRefs: [{ ...route, group: '' }], maxRequests: 1 }),
    place: 'spec.targetRefs[0]',
    says: 'group must be empty for a Service, and gateway.networking.k8s.io for a route',
  },
  {
    kind: 'TimeoutPolicy',
    spec: breaker({}),
    place: 'spec',
    says: 'must have request, backendRequest, streamIdle or maxStreamDuration',
  },
  {
    kind: 'TimeoutPolicy',
    spec: breaker({ request: '1s', backendRequest: '2s' }),
    place: 'spec',
    says: 'backendRequest must not be longer than request',
  },
  {
    kind: 'TimeoutPolicy',
    spec: breaker({ targetRefs: [{ ...route, group: '' }], request: '1s' }),
    place: 'spec.targetRefs[0]',
    says: 'group must be empty for a Service, and gateway.networking.k8s.io for a route',
  },
  {
    kind: 'OutlierDetectionPolicy',
    spec: breaker({ baseEjectionTime: '10s' }),
    place: 'spec',
    says: 'must have consecutive5xxErrors, consecutiveGatewayErrors or failurePercentage',
  },
  {
    kind: 'OutlierDetectionPolicy',
    spec: breaker({ consecutive5xxErrors: 5, baseEjectionTime: '10ms' }),
    place: 'spec.baseEjectionTime',
    says: 'must be from 1s to 1h',
  },
  {
    kind: 'OutlierDetectionPolicy',
    spec: breaker({ consecutive5xxErrors: 5, maxEjectionTime: '25h' }),
    place: 'spec.maxEjectionTime',
    says: 'must be from 1s to 24h',
  },
  {
    kind: 'OutlierDetectionPolicy',
    spec: breaker({ consecutive5xxErrors: 5, baseEjectionTime: '1m', maxEjectionTime: '30s' }),
    place: 'spec',
    says: 'maxEjectionTime must not be shorter than baseEjectionTime, which is 30s where absent',
  },
];

/** The whole of an object. */
export function refusedObject({ kind, spec }: RefusedObject, index: number) {
  return {
    apiVersion: 'meshwright.dev/v1alpha1',
    kind,
    metadata: { name: `refused-${index}`, namespace: 'shop' },
    spec,
  };
}
