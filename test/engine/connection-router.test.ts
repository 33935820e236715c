import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compileConnections } from '../../runtime/engine/index.ts';
import type { TlsRoute } from '../../runtime/model/index.ts';

const route = (name: string, ...serverNames: string[]): TlsRoute => ({
  route: { kind: 'TLSRoute', namespace: 'shop', name },
  serverNames,
  backends: [],
});
const decided = (routes: readonly TlsRoute[], serverName: string | undefined) =>
  compileConnections({ tlsRoutes: routes }).route(serverName)?.route?.name;

describe('connections by server name', () => {
  const routes = [
    route('wide', '*.example'),
    route('narrow', '*.db.example', 'db.example'),
    route('exact', 'eu.db.example'),
    route('late', 'eu.db.example', '*.db.example', 'late.example'),
  ];

  test.each([
    ['eu.db.example', 'exact'],
    ['us.db.example', 'narrow'],
    ['a.b.db.example', 'narrow'],
    ['db.example', 'narrow'],
    ['late.example', 'late'],
    ['other.example', 'wide'],
    ['example', undefined],
    ['.example', undefined],
    ['*.example', undefined],
    ['', undefined],
    [undefined, undefined],
    [`${'a.'.repeat(200)}example`, undefined],
  ])('%s is decided by %s', (serverName, name) => {
    expect(decided(routes, serverName)).toBe(name);
  });

  test('a wildcard is for every name below, and for no other', () => {
    const label = fc.stringMatching(/^[a-z0-9]{1,8}$/);
    const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'));
    fc.assert(
      fc.property(name, name, (parent, asked) => {
        const found = decided([route('only', `*.${parent}`)], asked) !== undefined;
        expect(found).toBe(asked.endsWith(`.${parent}`));
      }),
    );
  });

  test('the rest goes to the endpoints of the service only where no route of either kind is', () => {
    const own = { service: 'shop/db', port: 5433 };
    const tcpRoute = { route: { kind: 'TCPRoute', namespace: 'shop', name: 'rest' }, backends: [] };
    const alone = compileConnections({}, own);
    expect([alone.byServerName, alone.takesUnnamed]).toEqual([false, true]);
    expect(alone.route(undefined)).toEqual({ backends: [{ target: own, weight: 1 }] });
    const closed = compileConnections({ tlsRoutes: routes }, own);
    expect([closed.byServerName, closed.takesUnnamed, closed.route(undefined)]).toEqual([true, false, undefined]);
    const open = compileConnections({ tlsRoutes: routes, tcpRoute }, own);
    expect([open.takesUnnamed, open.route('nobody')]).toEqual([true, tcpRoute]);
  });
});
