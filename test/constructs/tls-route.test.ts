import { expect, test } from '@jest/globals';
import {
  Access,
  AccessPolicy,
  Gateway,
  type ITarget,
  Port,
  Route,
  Service,
  Target,
  TlsRoute,
  type TlsRouteProps,
  validate,
} from 'meshwright';
import { meshMatchers, simulate } from 'meshwright/testing';
import { emptyMesh, http, objectsOf, workload } from './given.ts';

expect.extend(meshMatchers);

function smallMesh() {
  const mesh = emptyMesh();
  const tls = { tls: Port.tcp(5433) };
  const [eu, us, db] = ['eu', 'us', 'db'].map((name) => new Service(mesh, name, { ports: tls, workload }));
  const web = new Service(mesh, 'web', { ports: http, workload, calls: [db] });
  const mixed = new Service(mesh, 'mixed', { ports: { ...tls, ...http }, workload });
  return { mesh, eu, us, db, web, mixed };
}

function complaints(props: (of: ReturnType<typeof smallMesh>) => Partial<TlsRouteProps>): string[] {
  const given = smallMesh();
  const { db, eu } = given;
  new TlsRoute(given.mesh, 'route', { parent: db, hostnames: ['eu.example'], to: eu, ...props(given) });
  return validate(given.mesh).map(({ id, message }) => `${id} ${message}`);
}

test('a TLS route is on the servers that handshakes name', () => {
  const { mesh, db, eu, us } = smallMesh();
  const to = [Target.weighted(eu, 9), Target.weighted(us.port('tls'), 1)];
  new TlsRoute(mesh, 'by-name', { parent: db, hostnames: ['eu.example', '*.eu.example'], to });
  expect(validate(mesh)).toEqual([]);
  expect(objectsOf(mesh, 'TLSRoute')['by-name']).toMatchObject({
    apiVersion: 'gateway.networking.k8s.io/v1',
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: 'db', port: 5433 }],
      hostnames: ['eu.example', '*.eu.example'],
      rules: [
        {
          backendRefs: [
            { name: 'eu', port: 5433, weight: 9 },
            { name: 'us', port: 5433, weight: 1 },
          ],
        },
      ],
    },
  });
});

test('simulate decides by the server name, which a URL of https names by its host', () => {
  const { mesh, db, eu, us, web } = smallMesh();
  new TlsRoute(mesh, 'to-eu', { parent: db, hostnames: ['eu.example'], to: eu });
  new TlsRoute(mesh, 'to-all', { parent: db, hostnames: ['*.example', 'db'], to: us });
  new AccessPolicy(mesh, 'access', { target: eu, rules: [Access.allow({ from: [web] })] });
  const named = simulate(mesh, { from: web, to: db, serverName: 'EU.example' });
  expect(named).toRouteTo(eu);
  expect(named.route).toBe('TLSRoute shop/to-eu');
  expect(named.why[0]).toBe('forwarded as a stream of bytes by TLSRoute shop/to-eu, which is for eu.example');
  expect(simulate(mesh, { from: web, to: db, serverName: 'other.example' })).toRouteTo(us);
  expect(simulate(mesh, { from: web, to: 'https://db:5433' })).toRouteTo(us);
  const refused = simulate(mesh, { from: web, to: db });
  expect([refused.outcome, refused.why[0]]).toEqual([
    'refuse',
    'closed: no TLSRoute is for a connection that names no server',
  ]);
});

test('a gateway passes TLS on by its listeners for it', () => {
  const { mesh, eu, us, web } = smallMesh();
  const gateway = new Gateway(mesh, 'edge', {
    listeners: { http: { port: 80 }, tls: { port: 443, tls: 'passthrough' } },
  });
  new TlsRoute(mesh, 'to-eu', { parent: gateway, hostnames: ['eu.example'], to: eu });
  new TlsRoute(mesh, 'to-us', { parent: gateway.listener('tls'), hostnames: ['us.example'], to: us });
  new Route(mesh, 'to-web', { parent: gateway, rules: [{ to: web }] });
  expect(validate(mesh)).toEqual([]);
  expect(objectsOf(mesh, 'Gateway').edge.spec.listeners).toEqual([
    { name: 'http', port: 80, protocol: 'HTTP' },
    { name: 'tls', port: 443, protocol: 'TLS', tls: { mode: 'Passthrough' } },
  ]);
  const { ports } = objectsOf(mesh, 'Service')['edge-meshwright'].spec;
  expect(ports?.map(({ name, appProtocol }) => [name, appProtocol])).toEqual([
    ['http', 'http'],
    ['tls', 'https'],
  ]);
  expect(simulate(mesh, { to: gateway.listener('tls'), serverName: 'eu.example' })).toRouteTo(eu);
  expect(simulate(mesh, { to: gateway.listener('tls'), serverName: 'us.example' })).toRouteTo(us);
  expect(simulate(mesh, { to: gateway.listener('http') })).toRouteTo(web);
});

test.each<[string, Parameters<typeof complaints>[0], string]>([
  ['no server', () => ({ hostnames: [] }), 'MW1210 it names no server'],
  [
    'what is no host name',
    () => ({ hostnames: ['https://eu.example'] }),
    "MW1250 host name 'https://eu.example' is invalid; allowed are lower-case DNS names, with *. in front for all names below one",
  ],
  ['no target', () => ({ to: [] }), 'MW1232 it has no target'],
  [
    'a target that speaks HTTP',
    ({ web }) => ({ to: web as ITarget }),
    'MW1237 it: target web: port http speaks http; this route is for tcp',
  ],
  [
    'a target of several ports',
    ({ mixed, db }) => ({
      to: mixed,
      parent: new Gateway(db, 'edge', { listeners: { a: { port: 1, tls: 'passthrough' } } }),
    }),
    'MW1236 it: target mixed has the ports tls, http and none is named',
  ],
  [
    'weights of nothing',
    ({ eu }) => ({ to: Target.weighted(eu, 0) }),
    'MW1234 it: all weights are 0, so nothing would get the requests',
  ],
  [
    'a port of HTTP',
    ({ mixed }) => ({ parent: mixed as never }),
    'MW1237 port http of mixed speaks http; this route is for tcp',
  ],
  [
    'a gateway without a listener for it',
    ({ mesh }) => ({ parent: new Gateway(mesh, 'edge', { listeners: { http: { port: 80 } } }) }),
    'MW1237 every listener of edge is for http; this route is for tls',
  ],
])('a TLS route with %s is refused', (_what, props, message) => {
  expect(complaints(props)).toEqual([message]);
});

test('two TLS routes cannot have one server', () => {
  const { mesh, db, eu, us } = smallMesh();
  new TlsRoute(mesh, 'one', { parent: db, hostnames: ['a.example', 'b.example'], to: eu });
  new TlsRoute(mesh, 'two', { parent: db, hostnames: ['b.example'], to: us });
  expect(validate(mesh).map(({ id, message }) => `${id} ${message}`)).toEqual([
    "MW1211 shop/one decides the connections to 'b.example' on Service shop/db:5433 already",
  ]);
});

test('an HTTP route cannot be on a listener that passes TLS on, nor both kinds of listeners on one port', () => {
  const { mesh, web } = smallMesh();
  const gateway = new Gateway(mesh, 'edge', {
    listeners: { http: { port: 80 }, tls: { port: 80, hostname: 'a.example', tls: 'passthrough' } },
  });
  new Route(mesh, 'route', { parent: gateway.listener('tls'), rules: [{ to: web }] });
  expect(validate(mesh).map(({ id, message }) => `${id} ${message}`)).toEqual([
    'MW1432 listener tls takes TLS on port 80, which takes HTTP already',
    'MW1237 listener tls of edge is for tls; this route is for http',
  ]);
});
