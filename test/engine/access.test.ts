import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type AccessRequest, compileAccess, explainAccess, normalizePath } from '../../runtime/engine/index.ts';
import type { AccessPolicy, AccessRule, InboundPort, PrincipalMatch, SpiffeId } from '../../runtime/model/index.ts';
import { accessRule, exact, prefix, regex, shopPolicy } from './fixtures.ts';

const http: InboundPort = { port: 9080, protocol: 'http' };
const tcp: InboundPort = { port: 6379, protocol: 'tcp' };
const caller = (namespace: string, serviceAccount: string): SpiffeId => ({
  trustDomain: 'shop.local',
  namespace,
  serviceAccount,
});
const web = caller('shop', 'web');
const onlyWeb: PrincipalMatch = { kind: 'service-account', namespace: 'shop', name: 'web' };
const asked = (path: string, method = 'GET', principal: SpiffeId | undefined = web): AccessRequest => ({
  principal,
  method,
  path: normalizePath(path),
});
const policy = (...rules: AccessRule[]): AccessPolicy => ({ policy: shopPolicy, rules });
const allowed = (rules: AccessRule[], request: AccessRequest, port = http) =>
  compileAccess([policy(...rules)], port).decide(request).allowed;

describe('access', () => {
  test('is open where nothing restricts it', () => {
    expect(compileAccess([], http).decide({})).toEqual({ allowed: true, reason: 'no allow rule restricts this port' });
    expect(allowed([accessRule('deny', { from: [onlyWeb] })], asked('/', 'GET', caller('shop', 'cart')))).toBe(true);
  });

  test('needs a matching allow rule where there is one', () => {
    const rules = [accessRule('allow', { from: [onlyWeb] })];
    expect(allowed(rules, asked('/'))).toBe(true);
    expect(compileAccess([policy(...rules)], http).decide(asked('/', 'GET', caller('other', 'web')))).toEqual({
      allowed: false,
      reason: 'no allow rule matches',
    });
  });

  test('names the policy and the rule that decided', () => {
    const denying = accessRule('deny', { name: 'no-deletes', to: [{ methods: ['DELETE'], paths: [] }] });
    expect(compileAccess([policy(denying)], http).decide(asked('/', 'DELETE'))).toEqual({
      allowed: false,
      policy: shopPolicy,
      rule: denying,
      reason: 'denied by rule no-deletes of AccessPolicy shop/reviews',
    });
  });

  test.each<[PrincipalMatch, SpiffeId | undefined, boolean]>([
    [onlyWeb, web, true],
    [onlyWeb, caller('other', 'web'), false],
    [onlyWeb, undefined, false],
    [{ kind: 'namespace', namespace: 'shop' }, caller('shop', 'cart'), true],
    [{ kind: 'namespace', namespace: 'shop' }, caller('shop2', 'cart'), false],
    [{ kind: 'authenticated' }, caller('any', 'one'), true],
    [{ kind: 'authenticated' }, undefined, false],
  ])('of %j by %j: %s', (from, principal, expected) => {
    expect(allowed([accessRule('allow', { from: [from] })], { ...asked('/'), principal })).toBe(expected);
  });

  test('is for everyone where a rule names no callers', () => {
    expect(allowed([accessRule('allow')], { method: 'GET', path: normalizePath('/') })).toBe(true);
  });

  test('looks at method and path together', () => {
    const rules = [
      accessRule('allow', {
        to: [{ methods: ['GET', 'HEAD'], paths: [prefix('/cart'), exact('/ready'), regex('/v\\d')] }],
      }),
    ];
    expect([asked('/cart/1'), asked('/ready', 'HEAD'), asked('/v1')].map((request) => allowed(rules, request))).toEqual(
      [true, true, true],
    );
    expect(
      [asked('/cart', 'POST'), asked('/cartoon'), asked('/v12')].map((request) => allowed(rules, request)),
    ).toEqual([false, false, false]);
  });

  test('denies a method however it is written, and allows it as it is written', () => {
    const to = [{ methods: ['DELETE'], paths: [] }];
    for (const method of ['DELETE', 'delete', 'Delete']) {
      expect(allowed([accessRule('deny', { to })], asked('/', method))).toBe(false);
      expect(allowed([accessRule('allow', { to })], asked('/', method))).toBe(method === 'DELETE');
    }
    expect(allowed([accessRule('deny', { to })], asked('/', 'get'))).toBe(true);
  });

  test('sees the same path however it is written', () => {
    const rules = [accessRule('deny', { to: [{ methods: [], paths: [prefix('/admin')] }] })];
    for (const path of ['/admin', '//admin', '/x/../admin/', '/%61dmin', '/./admin/x', '/x/%2e%2e/admin']) {
      expect(allowed(rules, asked(path))).toBe(false);
    }
  });

  test.each(['/a%2fb', '/a;b', '/a%5Cb', `/${'a'.repeat(5000)}`])('fails closed on the ambiguous path %s', (path) => {
    const to = [{ methods: [], paths: [prefix('/')] }];
    expect(allowed([accessRule('allow', { to })], asked(path))).toBe(false);
    expect(allowed([accessRule('deny', { to: [{ methods: [], paths: [exact('/other')] }] })], asked(path))).toBe(false);
    expect(allowed([accessRule('allow', { to: [{ methods: ['GET'], paths: [] }] })], asked(path))).toBe(true);
  });

  test('fails closed on TCP where a rule asks for a method or path', () => {
    const to = [{ methods: ['GET'], paths: [] }];
    expect(allowed([accessRule('allow', { to })], { principal: web }, tcp)).toBe(false);
    expect(allowed([accessRule('deny', { to })], { principal: web }, tcp)).toBe(false);
    expect(allowed([accessRule('allow', { from: [onlyWeb] })], { principal: web }, tcp)).toBe(true);
  });

  test('is not restricted by an operation that names nothing', () => {
    const to = [
      { methods: ['GET'], paths: [] },
      { methods: [], paths: [] },
    ];
    expect(allowed([accessRule('allow', { to })], asked('/', 'POST'))).toBe(true);
  });

  test('asks only the policies of the port', () => {
    const other: AccessPolicy = { policy: shopPolicy, ports: [1], rules: [accessRule('deny')] };
    expect(compileAccess([other], http).decide(asked('/')).allowed).toBe(true);
    expect(compileAccess([{ ...other, ports: [1, 9080] }], http).decide(asked('/')).allowed).toBe(false);
  });
});

const principalMatch: fc.Arbitrary<PrincipalMatch> = fc.oneof(
  fc.record({
    kind: fc.constant('service-account' as const),
    namespace: fc.constantFrom('a', 'b'),
    name: fc.constantFrom('x', 'y'),
  }),
  fc.record({ kind: fc.constant('namespace' as const), namespace: fc.constantFrom('a', 'b') }),
  fc.constant({ kind: 'authenticated' as const }),
);
const anyRule = fc.record({
  name: fc.string(),
  action: fc.constantFrom('allow' as const, 'deny' as const),
  from: fc.array(principalMatch, { maxLength: 2 }),
  to: fc.array(
    fc.record({
      methods: fc.subarray(['GET', 'POST']),
      paths: fc.array(fc.constantFrom(prefix('/a'), exact('/a/b'), prefix('/')), { maxLength: 2 }),
    }),
    { maxLength: 2 },
  ),
});
const anyRequest = fc.record({
  principal: fc.option(
    fc.record({
      trustDomain: fc.constant('t'),
      namespace: fc.constantFrom('a', 'b', 'c'),
      serviceAccount: fc.constantFrom('x', 'y'),
    }),
    { nil: undefined },
  ),
  method: fc.constantFrom('GET', 'POST', 'PUT'),
  path: fc.constantFrom('/', '/a', '/a/b', '/b', '/a%2Fb').map((path) => normalizePath(path)!),
});

test('a matching deny wins, whatever else and in whatever order', () => {
  fc.assert(
    fc.property(fc.array(anyRule, { maxLength: 5 }), anyRequest, (rules, request) => {
      const matching = rules.filter(
        (rule) => explainAccess(compileAccess([policy(rule)], http), request).considered[0].verdict === 'decided',
      );
      const denied = matching.some(({ action }) => action === 'deny');
      const permitted =
        matching.some(({ action }) => action === 'allow') || !rules.some(({ action }) => action === 'allow');
      expect(allowed(rules, request)).toBe(!denied && permitted);
      expect(allowed(rules.toReversed(), request)).toBe(!denied && permitted);
    }),
    { numRuns: 1000 },
  );
});

test('explain says why each rule did or did not decide', () => {
  const decider = compileAccess(
    [
      policy(
        accessRule('allow', { name: 'web', from: [onlyWeb] }),
        accessRule('allow', { name: 'everyone' }),
        accessRule('deny', { name: 'admin', from: [onlyWeb], to: [{ methods: ['POST'], paths: [prefix('/admin')] }] }),
      ),
    ],
    http,
  );
  const { decision, considered } = explainAccess(decider, asked('/admin'));
  expect(decision.reason).toBe('allowed by rule web of AccessPolicy shop/reviews');
  expect(considered.map(({ rule, verdict, reason }) => `${rule.name} ${verdict}: ${reason}`)).toEqual([
    'admin no-match: not so: method is POST and path is /admin or below',
    'web decided: caller is service account shop/web',
    'everyone not-first: allowed by rule web of AccessPolicy shop/reviews',
  ]);
});
