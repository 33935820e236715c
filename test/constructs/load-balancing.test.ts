import { expect, test } from '@jest/globals';
import {
  Duration,
  HashKey,
  type IPolicyTarget,
  LoadBalancing,
  LoadBalancingPolicy,
  Port,
  Service,
  validate,
} from 'meshwright';
import { simulate } from 'meshwright/testing';
import { emptyMesh, objectsOf, smallMesh, workload } from './given.ts';

function specOf(algorithm: LoadBalancing): unknown {
  const { mesh, reviews } = smallMesh();
  new LoadBalancingPolicy(mesh, 'balance', { target: reviews, algorithm });
  expect(validate(mesh)).toEqual([]);
  const { targetRefs, ...spec } = objectsOf(mesh, 'LoadBalancingPolicy').balance.spec;
  expect(targetRefs).toEqual([{ group: '', kind: 'Service', name: 'reviews' }]);
  return spec;
}

test.each<[unknown, LoadBalancing]>([
  [{ algorithm: 'PeakEWMA' }, LoadBalancing.peakEwma()],
  [{ algorithm: 'LeastRequest', panicThreshold: 40 }, LoadBalancing.leastRequest({ panicThreshold: 40 })],
  [{ algorithm: 'RoundRobin' }, LoadBalancing.roundRobin()],
  [
    { algorithm: 'Random', preferSameZone: { minEndpoints: 2 }, slowStart: { window: '1m30s' } },
    LoadBalancing.random({ preferSameZone: { minEndpoints: 2 }, slowStart: Duration.seconds(90) }),
  ],
  [{ algorithm: 'RingHash', hashKey: { header: 'x-user' } }, LoadBalancing.ringHash({ by: HashKey.header('x-user') })],
  [{ algorithm: 'Maglev', hashKey: { query: 'q' } }, LoadBalancing.maglev({ by: HashKey.query('q') })],
  [{ algorithm: 'Maglev', hashKey: { cookie: 'id' } }, LoadBalancing.maglev({ by: HashKey.cookie('id') })],
  [{ algorithm: 'Maglev', hashKey: { source: true } }, LoadBalancing.maglev({ by: HashKey.source() })],
  [{ algorithm: 'PeakEWMA', sessionPersistence: {} }, LoadBalancing.sticky()],
  [
    {
      algorithm: 'PeakEWMA',
      sessionPersistence: { sessionName: 'cart', absoluteTimeout: '1h', path: '/cart', sameSite: 'None', secure: true },
      slowStart: { window: '10s' },
    },
    LoadBalancing.sticky({
      cookie: 'cart',
      maxAge: Duration.hours(1),
      path: '/cart',
      sameSite: 'None',
      secure: true,
      slowStart: Duration.seconds(10),
    }),
  ],
])('%j is what it says to the controller', (spec, algorithm) => {
  expect(specOf(algorithm)).toEqual(spec);
});

function complaintsAbout(algorithm: LoadBalancing, port: Port<'http' | 'tcp'> = Port.http(80)) {
  const mesh = emptyMesh();
  const target: IPolicyTarget = new Service(mesh, 'cart', { ports: { main: port }, workload });
  new LoadBalancingPolicy(mesh, 'balance', { target, algorithm });
  return validate(mesh).map(({ id, construct, message }) => [id, construct, message]);
}

test.each<[string, LoadBalancing]>([
  ['panicThreshold is 101; allowed are whole numbers from 1 to 100', LoadBalancing.random({ panicThreshold: 101 })],
  [
    'minEndpoints is 0; allowed are whole numbers from 1 to 1000',
    LoadBalancing.random({ preferSameZone: { minEndpoints: 0 } }),
  ],
  ['slowStart is 7200 s; allowed are 1 s to 3600 s', LoadBalancing.random({ slowStart: Duration.hours(2) })],
  ['maxAge is 691200 s; allowed are 1 s to 604800 s', LoadBalancing.sticky({ maxAge: Duration.days(8) })],
  [
    "the cookie's path '/a;b' is invalid; it begins with / and holds neither spaces nor ;",
    LoadBalancing.sticky({ path: '/a;b' }),
  ],
  ['browsers drop a cookie with sameSite None that is not secure', LoadBalancing.sticky({ sameSite: 'None' })],
  [
    "cookie name 'a b' is invalid; allowed are up to 64 letters, digits and !#$%&'*+-.^_`|~",
    LoadBalancing.maglev({ by: HashKey.cookie('a b') }),
  ],
  ['the query parameter to hash by has no name', LoadBalancing.maglev({ by: HashKey.query('') })],
])('is refused: %s', (message, algorithm) => {
  expect(complaintsAbout(algorithm)).toContainEqual(['MW1351', 'shop/balance', message]);
});

test('a header to hash by has a name that headers can have', () => {
  const complaints = complaintsAbout(LoadBalancing.ringHash({ by: HashKey.header('x user') }));
  expect(complaints[0][0]).toBe('MW1242');
});

test('a service that speaks tcp is balanced by source or by none', () => {
  const tcp = Port.tcp(6379);
  const refused = ['MW1351', 'shop/balance', 'cart speaks tcp, which has no headers, cookies and parameters'];
  expect(complaintsAbout(LoadBalancing.sticky(), tcp)).toContainEqual(refused);
  expect(complaintsAbout(LoadBalancing.maglev({ by: HashKey.query('q') }), tcp)).toContainEqual(refused);
  expect(complaintsAbout(LoadBalancing.maglev({ by: HashKey.source() }), tcp)).toEqual([]);
  expect(complaintsAbout(LoadBalancing.leastRequest(), tcp)).toEqual([]);
});

test('simulate tells to which workload a key leads, always the same', () => {
  const { mesh, reviews, web } = smallMesh();
  new LoadBalancingPolicy(mesh, 'balance', {
    target: reviews,
    algorithm: LoadBalancing.maglev({ by: HashKey.header('x-user') }),
  });
  const ask = (user: string) => simulate(mesh, { from: web, to: reviews, headers: { 'x-user': user } });
  const placeOf = (user: string) => ask(user).decision.targets[0].receivers.map(({ workload }) => workload);
  const users = Array.from({ length: 20 }, (_, index) => `user-${index}`);
  expect(new Set(users.flatMap(placeOf))).toEqual(new Set(['shop/reviews-v1', 'shop/reviews-v2']));
  for (const user of users) expect(placeOf(user)).toHaveLength(1);
  expect(ask('alice').why).toContain(
    'endpoint of shop/reviews: maglev of header x-user; so says LoadBalancingPolicy shop/balance',
  );
});
