import { afterEach, describe, expect, it } from '@jest/globals';
import type { AccessPolicy } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { closeAll, send } from './mesh.ts';
import { forwardTo } from './resources.ts';
import { type App, named, reviews, startMesh } from './routing.ts';

afterEach(closeAll);

const toV = (version: string, weight = 1) => ({ target: { service: `shop/${version}`, port: 9080 }, weight });

describe('routing through two sidecars', () => {
  it('follows the rule that the engine decides, with its rewrite and header changes', async () => {
    const { outbound } = await startMesh(
      {
        v1: named('v1'),
        v2: (request, response) => {
          response.setHeader('x-app', 'v2');
          response.end(`v2 ${request.url} ${request.headers['x-added']} ${request.headers['x-removed']}`);
        },
      },
      reviews([
        forwardTo('shop/v2', 9080, {
          name: 'canary',
          matches: [
            {
              path: { kind: 'prefix', value: '/old' },
              headers: [{ name: 'x-canary', value: { kind: 'exact', value: 'always' } }],
              query: [],
            },
          ],
          rewrite: { path: { kind: 'prefix', value: '/new' } },
          requestHeaders: { set: [{ name: 'x-added', value: 'yes' }], add: [], remove: ['x-removed'] },
          responseHeaders: { set: [{ name: 'x-served-by', value: 'mesh' }], add: [], remove: ['x-app'] },
        }),
        forwardTo('shop/v1', 9080, { name: 'default' }),
      ]),
    );
    const plain = await send(outbound, { path: '/old/x' });
    expect(plain.body.toString()).toBe('v1 /old/x');
    const canary = await send(outbound, { path: '/old/x?q=1', headers: { 'x-canary': 'always', 'x-removed': 'gone' } });
    expect(canary.body.toString()).toBe('v2 /new/x?q=1 yes undefined');
    expect(canary.headers['x-served-by']).toBe('mesh');
    expect(canary.headers['x-app']).toBeUndefined();
  });

  it('splits requests as the weights say', async () => {
    const { outbound } = await startMesh(
      { v1: named('v1'), v2: named('v2') },
      reviews([forwardTo('shop/v1', 9080, { action: { kind: 'forward', backends: [toV('v1', 3), toV('v2', 1)] } })]),
    );
    const replies = await Promise.all(Array.from({ length: 400 }, () => send(outbound)));
    const share = replies.filter(({ body }) => body.toString().startsWith('v2')).length / replies.length;
    expect(share).toBeGreaterThan(0.15);
    expect(share).toBeLessThan(0.35);
  });

  it('redirects, and answers 404 where no rule matches and 500 where the backend does not exist', async () => {
    const { outbound } = await startMesh(
      {},
      reviews([
        forwardTo('shop/v1', 9080, {
          matches: [{ path: { kind: 'exact', value: '/moved' }, headers: [], query: [] }],
          action: { kind: 'redirect', redirect: { status: 301, path: { kind: 'full', value: '/here' } } },
        }),
        forwardTo('shop/v1', 9080, {
          matches: [{ path: { kind: 'exact', value: '/broken' }, headers: [], query: [] }],
          action: { kind: 'forward', backends: [{ weight: 1, problem: 'Service shop/none is not there' }] },
        }),
      ]),
    );
    const moved = await send(outbound, { path: '/moved?a=1', headers: { host: 'reviews:9080' } });
    expect([moved.status, moved.headers.location]).toEqual([301, 'http://reviews:9080/here?a=1']);
    expect((await send(outbound, { path: '/nothing' })).status).toBe(404);
    const broken = await send(outbound, { path: '/broken' });
    expect(broken.status).toBe(500);
    expect(broken.body.toString()).toContain('Service shop/none is not there');
  });

  it('mirrors a copy of each request and ignores its answer', async () => {
    const seen = Promise.withResolvers<string>();
    const { outbound } = await startMesh(
      {
        v1: named('v1'),
        v2: (request, response) => {
          let body = '';
          request.on('data', (chunk) => {
            body += chunk;
          });
          request.on('end', () => {
            seen.resolve(`${request.method} ${request.url} ${body}`);
            response.writeHead(500).end();
          });
        },
      },
      reviews([
        forwardTo('shop/v1', 9080, { mirrors: [{ target: { service: 'shop/v2', port: 9080 }, percent: 100 }] }),
      ]),
    );
    const reply = await send(outbound, { method: 'POST', path: '/x', body: 'copy me' });
    expect([reply.status, reply.body.toString()]).toEqual([200, 'v1 /x']);
    expect(await seen.promise).toBe('POST /x copy me');
  });
});

describe('a mirror that never answers', () => {
  it('gets no more copies than may wait for it', async () => {
    let copies = 0;
    const { outbound } = await startMesh(
      { v1: named('v1'), v2: () => copies++ },
      reviews([
        forwardTo('shop/v1', 9080, { mirrors: [{ target: { service: 'shop/v2', port: 9080 }, percent: 100 }] }),
      ]),
      [],
      { maxMirrored: 3 },
    );
    for (let each = 0; each < 10; each++) expect((await send(outbound)).status).toBe(200);
    await eventually(() => copies === 3);
    expect((await send(outbound)).status).toBe(200);
    expect(copies).toBe(3);
  });
});

describe('access', () => {
  const onlyFrom = (serviceAccount: string): AccessPolicy => ({
    policy: { kind: 'AccessPolicy', namespace: 'shop', name: 'reviews-access' },
    rules: [
      {
        name: 'callers',
        action: 'allow',
        from: [{ kind: 'service-account', namespace: 'shop', name: serviceAccount }],
        to: [{ methods: ['GET'], paths: [{ kind: 'prefix', value: '/open' }] }],
      },
    ],
  });

  it('lets through what a rule allows and refuses the rest, before the application sees it', async () => {
    let calls = 0;
    const { outbound, servers } = await startMesh(
      {
        v1: (_request, response) => {
          calls++;
          response.end('in');
        },
      },
      reviews([forwardTo('shop/v1', 9080)]),
      [onlyFrom('web')],
    );
    expect((await send(outbound, { path: '/open/door' })).status).toBe(200);
    for (const [method, path] of [
      ['POST', '/open/door'],
      ['GET', '/closed'],
      ['GET', '/open/../closed'],
      ['GET', '/open/%2e%2e/closed'],
      ['GET', '/open%2fdoor'],
      ['GET', '/open;x/door'],
    ]) {
      const reply = await send(outbound, { method, path });
      expect([method, path, reply.status]).toEqual([method, path, 403]);
    }
    expect(calls).toBe(1);
    expect(servers.v1.metrics.registry.expose()).toContain('response_class="4xx"');
  });

  it('refuses a caller whose identity no rule names', async () => {
    const { outbound } = await startMesh({ v1: named('v1') }, reviews([forwardTo('shop/v1', 9080)]), [
      onlyFrom('somebody-else'),
    ]);
    const reply = await send(outbound, { path: '/open' });
    expect(reply.status).toBe(403);
    expect(reply.headers['proxy-status']).toContain('error=http_request_denied');
    expect(reply.body.toString()).toContain('no allow rule matches');
  });
});

describe('what a proxy answers itself', () => {
  it('is counted by its reason and stands in the access log, at both ends', async () => {
    const { outbound, client, servers } = await startMesh(
      { v1: named('v1') },
      reviews([
        forwardTo('shop/v1', 9080, {
          matches: [{ path: { kind: 'exact', value: '/moved' }, headers: [], query: [] }],
          action: { kind: 'redirect', redirect: { status: 302, path: { kind: 'full', value: '/here' } } },
        }),
        forwardTo('shop/v1', 9080, { matches: [{ path: { kind: 'prefix', value: '/v1' }, headers: [], query: [] }] }),
      ]),
      [
        {
          policy: { kind: 'AccessPolicy', namespace: 'shop', name: 'closed' },
          rules: [{ name: 'nobody', action: 'deny', from: [], to: [] }],
        },
      ],
    );
    for (const path of ['/moved', '/nothing', '/%zz', '/v1/x']) await send(outbound, { path });
    expect(client.log.entries.map(({ status, path, error }) => [status, path, error])).toEqual([
      [302, '/moved', undefined],
      [404, '/nothing', 'no route of shop/reviews matches GET /nothing'],
      [400, '/%zz', 'the path is malformed'],
      [403, '/v1/x', undefined],
    ]);
    expect(servers.v1.log.entries).toMatchObject([{ direction: 'inbound', status: 403, mtls: true }]);
    const metrics = client.metrics.registry.expose();
    expect(metrics).toContain(
      'meshwright_local_replies_total{direction="outbound",service="shop/reviews",error="destination_not_found"} 1',
    );
  });
});

describe('texts beyond ASCII', () => {
  it('are UTF-8 on the wire, in what is compared and in what is sent; other bytes are no match and pass', async () => {
    const answer =
      (name: string): App =>
      (request, response) =>
        response.end(`${name} ${request.headers['x-sent']} ${request.headers['x-name']}`);
    const match = (value: string) => ({
      path: { kind: 'prefix' as const, value: '/menü' },
      headers: [{ name: 'x-name', value: { kind: 'exact' as const, value } }],
      query: [],
    });
    const rules = [
      forwardTo('shop/v1', 9080, {
        matches: [match('Jürgen')],
        requestHeaders: { set: [{ name: 'x-sent', value: '€' }], add: [], remove: [] },
      }),
      forwardTo('shop/v2', 9080),
    ];
    const { outbound } = await startMesh({ v1: answer('v1'), v2: answer('v2') }, reviews(rules));
    const ask = async (name: string) => {
      const { body } = await send(outbound, { path: '/men%c3%bc', headers: { 'x-name': name } });
      return body.toString();
    };
    const wire = (text: string) => Buffer.from(text).toString('latin1');
    // Node holds values as latin1, and writes what it has as UTF-8.
    expect(await ask(wire('Jürgen'))).toBe(`v1 ${wire('€')} ${wire('Jürgen')}`);
    expect(await ask('J\xfcrgen')).toBe('v2 undefined J\xfcrgen');
    expect(await ask('\xff\xfe')).toBe('v2 undefined \xff\xfe');
  });
});
