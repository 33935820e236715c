import { describe, expect, test } from '@jest/globals';
import { compileCors, compileRules, createSnapshot, decide, routePreflight } from '../../runtime/engine/index.ts';
import type { Cors, HttpRule } from '../../runtime/model/index.ts';
import { match, prefix, request, rule } from './fixtures.ts';

const none: Cors = {
  allowOrigins: [],
  allowCredentials: false,
  allowMethods: [],
  allowHeaders: [],
  exposeHeaders: [],
  maxAge: 5,
};

const fieldsOf = (list: readonly string[]): Record<string, string> =>
  Object.fromEntries(Array.from({ length: list.length / 2 }, (_, index) => [list[2 * index], list[2 * index + 1]]));

const asking = (origin: string, ...more: string[]) => [
  'origin',
  origin,
  'access-control-request-method',
  'PUT',
  ...more,
];

describe('an origin', () => {
  test.each([
    [['https://foo.example'], 'https://foo.example', true],
    [['https://foo.example'], 'http://foo.example', false],
    [['https://foo.example'], 'https://foo.example:8443', false],
    [['https://foo.example'], 'https://foo.example.evil.example', false],
    [['https://foo.example'], 'https://FOO.example', true],
    [['https://*.bar.example'], 'https://www.bar.example', true],
    [['https://*.bar.example'], 'https://a.b.bar.example', true],
    [['https://*.bar.example'], 'https://bar.example', false],
    [['https://*.bar.example'], 'https://.bar.example', false],
    [['https://*.bar.example'], 'https://evilbar.example', false],
    [['https://*.bar.example'], 'https://evil.example:1@x.bar.example', false],
    [['https://*.bar.example'], 'https://evil.example/.bar.example', false],
    [['https://*.bar.example:8443'], 'https://www.bar.example:8443', true],
    [['https://*.bar.example:8443'], 'https://www.bar.example', false],
    [['https://*'], 'https://anything.example', true],
    [['https://*'], 'https://[2001:db8::1]', true],
    [['https://*'], 'https://anything.example:8443', false],
    [['https://*'], 'http://anything.example', false],
    [['https://*'], 'null', false],
    [['*'], 'null', true],
    [['*'], 'chrome-extension://abc', true],
    [['https://a.example', 'https://b.example'], 'https://a.example,https://b.example', false],
    [[], 'https://foo.example', false],
  ])('%j against %s: %s', (allowOrigins, origin, allowed) => {
    expect(compileCors({ ...none, allowOrigins }).allows(origin)).toBe(allowed);
  });
});

describe('the answer to a preflight', () => {
  test('names what is allowed, and for how long a browser may keep that', () => {
    const cors = compileCors({
      allowOrigins: ['https://foo.example'],
      allowCredentials: true,
      allowMethods: ['GET', 'PUT'],
      allowHeaders: ['x-a', 'x-b'],
      exposeHeaders: ['x-c'],
      maxAge: 3600,
    });
    expect(fieldsOf(cors.preflight(asking('https://foo.example')))).toStrictEqual({
      'access-control-allow-origin': 'https://foo.example',
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET, PUT',
      'access-control-allow-headers': 'x-a, x-b',
      'access-control-expose-headers': 'x-c',
      'access-control-max-age': '3600',
      vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
    });
  });

  test('says * where nothing is excluded and no credentials are sent', () => {
    const all = { allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'], exposeHeaders: ['*'] };
    const cors = compileCors({ ...none, ...all });
    expect(fieldsOf(cors.preflight(asking('https://foo.example')))).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': '*',
      'access-control-allow-headers': '*',
      'access-control-expose-headers': '*',
    });
  });

  test('with credentials repeats what was asked for, and never says *', () => {
    const all = { allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'], exposeHeaders: ['*'] };
    const cors = compileCors({ ...none, ...all, allowCredentials: true });
    const names = ['access-control-request-headers', 'x-a, x-b'];
    expect(fieldsOf(cors.preflight(asking('https://foo.example', ...names)))).toMatchObject({
      'access-control-allow-origin': 'https://foo.example',
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'PUT',
      'access-control-allow-headers': 'x-a, x-b',
    });
    const without = cors.preflight(asking('https://foo.example'));
    expect(without).not.toContain('access-control-allow-headers');
    expect([...cors.preflight(asking('https://a.example', ...names)), ...without]).not.toContain('*');
  });
});

describe('an actual answer', () => {
  const cors = compileCors({
    ...none,
    allowOrigins: ['https://foo.example'],
    allowCredentials: true,
    exposeHeaders: ['x-c'],
  });

  test('says whose pages may read it, in place of what the application says', () => {
    const said = ['access-control-allow-origin', '*', 'x-c', '1', 'access-control-max-age', '9', 'vary', 'Accept'];
    expect(cors.respond('https://foo.example', said)).toStrictEqual([
      ...['x-c', '1', 'vary', 'Accept'],
      ...['access-control-allow-origin', 'https://foo.example', 'access-control-allow-credentials', 'true'],
      ...['access-control-expose-headers', 'x-c', 'vary', 'Origin'],
    ]);
  });

  test.each([['https://evil.example'], [undefined]])('to %s is shared with nobody, and caches are told', (origin) => {
    const said = ['access-control-allow-origin', '*', 'x-c', '1'];
    expect(cors.respond(origin, said)).toStrictEqual(['x-c', '1', 'vary', 'Origin']);
  });

  test.each(['Origin', 'accept, ORIGIN', '*'])('says once that it depends on the origin: %s', (vary) => {
    expect(cors.respond(undefined, ['vary', vary])).toStrictEqual(['vary', vary]);
  });

  test('that is the same for all origins does not depend on them, and is for requests without one too', () => {
    const open = compileCors({ ...none, allowOrigins: ['*'] });
    const shared = ['access-control-allow-origin', '*'];
    expect(open.respond('https://foo.example', [])).toStrictEqual(shared);
    expect(open.respond(undefined, [])).toStrictEqual(shared);
  });

  test('with credentials names each header that it exposes, but for cookies', () => {
    const all = compileCors({ ...none, allowOrigins: ['*'], allowCredentials: true, exposeHeaders: ['*'] });
    const answer = all.respond('https://a.example', ['x-a', '1', 'set-cookie', 'a=b', 'x-b', '2', 'x-a', '3']);
    expect(fieldsOf(answer)['access-control-expose-headers']).toBe('x-a, x-b');
    expect(all.respond('https://a.example', [])).not.toContain('access-control-expose-headers');
  });
});

describe('a preflight', () => {
  const cors: Cors = { ...none, allowOrigins: ['https://foo.example'] };
  const routed = (...rules: HttpRule[]) => compileRules(rules);
  const ask = (path: string, headers = asking('https://foo.example')) => request(path, { method: 'OPTIONS', headers });
  const put = rule('put', [match(prefix('/a'), { method: 'PUT' })], { cors });

  test('is answered by the rule that would decide about the request it announces', () => {
    const router = routed(put, rule('rest', [match(prefix('/'))]));
    expect(routePreflight(router, ask('/a'))?.found.rule.name).toBe('put');
    expect(routePreflight(router, ask('/b'))).toBeUndefined();
  });

  test('is answered by the rule for OPTIONS, which must not reach the application either', () => {
    const router = routed(
      rule('put', [match(prefix('/'), { method: 'PUT' })]),
      rule('rest', [match(prefix('/'))], { cors }),
    );
    expect(routePreflight(router, ask('/a'))?.found.rule.name).toBe('rest');
  });

  test.each([
    ['a GET', request('/a', { headers: asking('https://foo.example') })],
    ['without an origin', ask('/a', ['access-control-request-method', 'PUT'])],
    ['that announces nothing', ask('/a', ['origin', 'https://foo.example'])],
  ])('is not %s', (_, asked) => {
    expect(routePreflight(routed(put, rule('rest', [match(prefix('/'))], { cors })), asked)).toBeUndefined();
  });

  const ports = [{ port: 80, name: 'http', protocol: 'http' as const, rules: [put] }];
  const balancer = { kind: 'peak-ewma' as const };
  const mesh = createSnapshot([
    { kind: 'service', name: 'shop/reviews', hosts: ['reviews'], addresses: [], ports, balancer },
    {
      kind: 'workload',
      name: 'shop/web',
      namespace: 'shop',
      serviceAccount: 'web',
      trustDomain: 'shop.local',
      mtls: 'strict',
      ports: [],
      access: [],
      calls: 'all',
    },
  ]);
  const sent = { from: 'shop/web', to: 'reviews', path: '/a' };

  test('is decided without a target, with the fields of the answer', () => {
    const headers = { origin: 'https://foo.example', 'access-control-request-method': 'PUT' };
    const decision = decide(mesh, { ...sent, method: 'OPTIONS', headers });
    expect(decision).toMatchObject({ outcome: 'answer', status: 204, targets: [], delivered: 0 });
    expect(decision.reason).toBe('preflight answered by rule put of HTTPRoute shop/reviews');
    expect(fieldsOf(decision.cors!.fields)['access-control-allow-origin']).toBe('https://foo.example');
  });

  test('of an origin that is not allowed is refused, and the reason told', () => {
    const headers = { origin: 'https://evil.example', 'access-control-request-method': 'PUT' };
    const decision = decide(mesh, { ...sent, method: 'OPTIONS', headers });
    expect(decision).toMatchObject({ outcome: 'refuse', status: 403, cors: { allowed: false } });
    expect(decision.reason).toContain('origin https://evil.example is not allowed');
    expect(decision.cors!.fields).toStrictEqual(['vary', 'Origin']);
  });

  test('comes before a request about which the same is decided', () => {
    const decision = decide(mesh, { ...sent, method: 'PUT', headers: { origin: 'https://foo.example' } });
    expect(decision).toMatchObject({ outcome: 'forward', cors: { allowed: true, origin: 'https://foo.example' } });
    expect(decide(mesh, { ...sent, method: 'PUT' }).cors).toMatchObject({ allowed: false });
  });
});
