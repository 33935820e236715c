import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { describeObject, namespaceOf, parseObject } from '../../runtime/resources/index.ts';

const policy = {
  apiVersion: 'meshwright.dev/v1alpha1',
  kind: 'AccessPolicy',
  metadata: { name: 'reviews', namespace: 'shop' },
  spec: { targetRefs: [{ group: '', kind: 'Service', name: 'reviews' }], rules: [{ action: 'Allow' }] },
};

describe('parseObject', () => {
  it('reads an object of ours', () => {
    expect(parseObject(policy, 'a.yaml:1').object).toStrictEqual(policy);
  });

  it('drops fields of standard objects that the mesh does not read', () => {
    const { object } = parseObject(
      { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a', uid: 'x' }, spec: { sessionAffinity: 'None' } },
      'a.yaml:1',
    );
    expect(object).toStrictEqual({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec: {} });
  });

  it('refuses unknown fields in objects of ours, naming place and source', () => {
    const { findings } = parseObject(
      { ...policy, spec: { ...policy.spec, rules: [{ action: 'allow', frmo: [] }] } },
      'a.yaml:7',
    );
    expect(findings).toMatchObject([
      {
        id: 'MW1002',
        message: 'invalid option: expected one of "Allow"|"Deny", got "allow"',
        object: 'AccessPolicy shop/reviews spec.rules[0].action (a.yaml:7)',
      },
      { id: 'MW1002', message: 'unknown field frmo' },
    ]);
  });

  it('wants exactly one way to name a caller', () => {
    const rules = [{ action: 'Allow', from: [{ namespace: 'shop', authenticated: true }] }];
    expect(parseObject({ ...policy, spec: { ...policy.spec, rules } }, 'a').findings).toHaveLength(1);
  });

  it('wants literal paths to begin with a slash', () => {
    const withPath = (type: string, value: string) => ({
      ...policy,
      spec: { ...policy.spec, rules: [{ action: 'Allow', to: [{ paths: [{ type, value }] }] }] },
    });
    expect(parseObject(withPath('PathPrefix', 'cart'), 'a').findings).toHaveLength(1);
    expect(parseObject(withPath('RegularExpression', '.*'), 'a').findings).toBeUndefined();
  });

  it.each<[string, object, string]>([
    ['CircuitBreakerPolicy', { maxRequests: 0 }, 'spec.maxRequests'],
    ['CircuitBreakerPolicy', { maxConnections: -1 }, 'spec.maxConnections'],
    ['CircuitBreakerPolicy', { maxPendingRequests: 1.5 }, 'spec.maxPendingRequests'],
    ['OutlierDetectionPolicy', { consecutive5xxErrors: 0 }, 'spec.consecutive5xxErrors'],
    ['OutlierDetectionPolicy', { consecutiveGatewayErrors: -3 }, 'spec.consecutiveGatewayErrors'],
    ['OutlierDetectionPolicy', { failurePercentage: { threshold: 101 } }, 'spec.failurePercentage.threshold'],
    [
      'OutlierDetectionPolicy',
      { failurePercentage: { threshold: 50, minRequests: 0 } },
      'spec.failurePercentage.minRequests',
    ],
    ['OutlierDetectionPolicy', { consecutive5xxErrors: 1, maxEjectionPercent: 101 }, 'spec.maxEjectionPercent'],
  ])('refuses %s with %j', (kind, spec, place) => {
    const { targetRefs } = policy.spec;
    const { findings } = parseObject({ ...policy, kind, spec: { targetRefs, ...spec } }, 'a');
    expect(findings?.map(({ object }) => object)).toEqual([`${kind} shop/reviews ${place} (a)`]);
  });

  it('repeats the construct path of the object in findings', () => {
    const metadata = { ...policy.metadata, annotations: { 'meshwright.dev/construct-path': 'shop/reviews/access' } };
    expect(parseObject({ ...policy, metadata, spec: {} }, 'a').findings?.[0].construct).toBe('shop/reviews/access');
  });

  it('says more loudly that it ignores a kind of a group it should know', () => {
    const unknown = (apiVersion: string, kind: string) => parseObject({ apiVersion, kind }, 'a').findings;
    expect(unknown('v1', 'ConfigMap')).toMatchObject([{ id: 'MW1003', severity: 'info' }]);
    expect(unknown('gateway.networking.k8s.io/v1', 'UDPRoute')).toMatchObject([{ severity: 'warning' }]);
    expect(unknown('meshwright.dev/v9', 'Mesh')).toMatchObject([{ severity: 'warning' }]);
    expect(unknown('v1', 'constructor')).toMatchObject([{ id: 'MW1003' }]);
  });

  it('never throws and always answers with an object or findings', () => {
    fc.assert(
      fc.property(fc.anything(), fc.constantFrom('Service', 'HTTPRoute', 'Mesh'), (junk, kind) => {
        for (const raw of [junk, { apiVersion: 'v1', kind, metadata: junk, spec: junk }]) {
          const result = parseObject(raw, 'a');
          expect(result.object !== undefined || (result.findings?.length ?? 0) > 0).toBe(true);
        }
      }),
    );
  });
});

describe('names of objects', () => {
  it('use the default namespace where none is given, and none for cluster-wide kinds', () => {
    const metadata = { name: 'a' };
    expect(describeObject({ kind: 'Service', metadata })).toBe('Service default/a');
    expect(describeObject({ kind: 'Namespace', metadata })).toBe('Namespace a');
    expect(namespaceOf({ kind: 'Service', metadata: { name: 'a', namespace: 'b' } })).toBe('b');
  });
});
