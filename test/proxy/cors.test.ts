import { afterEach, describe, expect, it } from '@jest/globals';
import type { Cors, HttpRule } from '../../runtime/model/index.ts';
import { closeAll, createAuthority, freePort, send, startApp, startPairTo, startProxy, svidOf } from './mesh.ts';
import { forwardTo, gatewayOf, service } from './resources.ts';

afterEach(closeAll);

const cors: Cors = {
  allowOrigins: ['https://shop.example', 'https://*.shop.example'],
  allowCredentials: true,
  allowMethods: ['PUT', 'DELETE'],
  allowHeaders: ['x-token'],
  exposeHeaders: ['x-total'],
  maxAge: 600,
};

const preflight = (origin: string) => ({
  method: 'OPTIONS',
  headers: { origin, 'access-control-request-method': 'PUT', 'access-control-request-headers': 'x-token' },
});

/** Two sidecars before an application that lets everyone read everything, and counts what it hears. */
async function startShared(rule: Partial<HttpRule> = {}) {
  const heard: string[] = [];
  const app = await startApp((request, response) => {
    heard.push(`${request.method} ${request.url} ${request.headers.origin}`);
    response.setHeader('access-control-allow-origin', '*');
    response.setHeader('access-control-allow-methods', 'TRACE');
    response.setHeader('vary', 'Accept');
    response.end('body');
  });
  const pair = await startPairTo(app, { rules: [forwardTo('shop/reviews', 9080, { cors, ...rule })] });
  return { ...pair, heard };
}

describe('a rule with CORS', () => {
  it('has the proxy answer preflights, which the application never hears of', async () => {
    const { outbound, heard, client } = await startShared();
    const { status, headers, body } = await send(outbound, preflight('https://www.shop.example'));
    expect([status, body.length]).toEqual([204, 0]);
    expect(headers).toMatchObject({
      'access-control-allow-origin': 'https://www.shop.example',
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'PUT, DELETE',
      'access-control-allow-headers': 'x-token',
      'access-control-expose-headers': 'x-total',
      'access-control-max-age': '600',
    });
    expect(heard).toEqual([]);
    expect(client.log.entries[0]).toMatchObject({ status: 204, route: 'HTTPRoute shop/route rule-0' });
  });

  it('refuses preflights of other origins, and says why', async () => {
    const { outbound, heard, client } = await startShared();
    const { status, headers, body } = await send(outbound, preflight('https://shop.example.evil.example'));
    expect(status).toBe(403);
    expect(headers).not.toHaveProperty('access-control-allow-origin');
    expect(headers.vary).toBe('Origin');
    expect(body.toString()).toContain('does not allow origin https://shop.example.evil.example');
    expect(heard).toEqual([]);
    expect(client.metrics.localReplies.with('outbound', 'shop/reviews', 'http_request_denied').value).toBe(1);
  });

  it('replaces what the application says of origins, and tells caches', async () => {
    const { outbound, heard } = await startShared({
      requestHeaders: { set: [], add: [], remove: ['origin'] },
      responseHeaders: { set: [{ name: 'access-control-max-age', value: '1' }], add: [], remove: [] },
    });
    const shared = await send(outbound, { method: 'PUT', headers: { origin: 'https://shop.example' } });
    expect([shared.status, shared.body.toString()]).toEqual([200, 'body']);
    expect(shared.headers).toMatchObject({
      'access-control-allow-origin': 'https://shop.example',
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': 'x-total',
      vary: 'Accept, Origin',
    });
    expect(shared.headers).not.toHaveProperty('access-control-allow-methods');
    expect(shared.headers).not.toHaveProperty('access-control-max-age');
    for (const headers of [{ origin: 'https://evil.example' }, {}]) {
      const kept = await send(outbound, { headers: headers as Record<string, string> });
      expect(kept.status).toBe(200);
      expect(kept.headers).not.toHaveProperty('access-control-allow-origin');
      expect(kept.headers.vary).toBe('Accept, Origin');
    }
    expect(heard).toHaveLength(3);
  });

  it('has pages read the errors of the proxy as well', async () => {
    const nowhere = { kind: 'forward' as const, backends: [{ problem: 'it is gone', weight: 1 }] };
    const { outbound } = await startShared({ action: nowhere });
    const headers = { origin: 'https://shop.example' };
    const unresolved = await send(outbound, { headers });
    expect(unresolved.status).toBe(500);
    expect(unresolved.headers).toMatchObject({ 'access-control-allow-origin': 'https://shop.example', vary: 'Origin' });
    await closeAll();
    const gone = await startShared({
      action: { kind: 'forward', backends: [{ target: { service: 'shop/gone', port: 1 }, weight: 1 }] },
    });
    const unavailable = await send(gone.outbound, { headers });
    expect(unavailable.status).toBe(503);
    expect(unavailable.headers).toMatchObject({ 'access-control-allow-origin': 'https://shop.example' });
    expect(unavailable.headers['proxy-status']).toContain('no ready endpoint');
  });

  it('has pages follow its redirects', async () => {
    const { outbound } = await startShared({
      action: { kind: 'redirect', redirect: { path: { kind: 'full', value: '/new' }, status: 307 } },
    });
    const { status, headers } = await send(outbound, { headers: { origin: 'https://shop.example' } });
    expect(status).toBe(307);
    expect(headers.location).toMatch(/\/new$/);
    expect(headers['access-control-allow-origin']).toBe('https://shop.example');
    expect((await send(outbound, preflight('https://shop.example'))).status).toBe(204);
  });

  it('leaves OPTIONS that is no preflight, and other rules, to the application', async () => {
    const heard: string[] = [];
    const open = forwardTo('shop/reviews', 9080, { name: 'open' });
    const app = await startApp((request, response) => {
      heard.push(`${request.method} ${request.url}`);
      response.setHeader('access-control-allow-origin', '*');
      response.end();
    });
    const api = forwardTo('shop/reviews', 9080, {
      cors,
      matches: [{ path: { kind: 'prefix', value: '/api' }, headers: [], query: [] }],
    });
    const pair = await startPairTo(app, { rules: [api, open] });
    const plain = await send(pair.outbound, {
      method: 'OPTIONS',
      path: '/api',
      headers: { origin: 'https://shop.example' },
    });
    expect([plain.status, plain.headers['access-control-allow-origin']]).toEqual([200, 'https://shop.example']);
    const other = await send(pair.outbound, { ...preflight('https://evil.example'), path: '/other' });
    expect([other.status, other.headers['access-control-allow-origin']]).toEqual([200, '*']);
    expect(heard).toEqual(['OPTIONS /api', 'OPTIONS /other']);
  });
});

describe('a gateway', () => {
  it('answers preflights by the rule that the request they announce would meet', async () => {
    const authority = await createAuthority();
    const listen = await freePort();
    const put = forwardTo('shop/reviews', 9080, {
      cors,
      matches: [{ path: { kind: 'prefix', value: '/' }, method: 'PUT', headers: [], query: [] }],
    });
    await startProxy({
      serviceAccount: 'gateway',
      svid: await svidOf(authority, 'gateway'),
      gateway: 'shop/shop',
      resources: [service('reviews', 9080, 'http'), gatewayOf('shop', [put])],
      bootstrap: { gateway: [{ listen: `127.0.0.1:${listen}`, port: 80 }] },
    });
    const { status, headers } = await send(listen, preflight('https://shop.example'));
    expect([status, headers['access-control-allow-origin']]).toEqual([204, 'https://shop.example']);
    const announced = { origin: 'https://shop.example', 'access-control-request-method': 'DELETE' };
    expect((await send(listen, { method: 'OPTIONS', headers: announced })).status).toBe(404);
  });
});
