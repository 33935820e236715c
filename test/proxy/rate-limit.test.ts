import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { RateLimit, RateLimitPolicy } from '../../runtime/model/index.ts';
import { closeAll, readAll, readUntil, send, startApp, startEcho, startPairTo } from './mesh.ts';

afterEach(closeAll);

/** So slow that no token comes back while a test runs. */
function limited(...limits: Partial<RateLimit>[]): RateLimitPolicy[] {
  const limit: RateLimit = { name: 'all', requests: 1, interval: 600_000, burst: 1, key: { kind: 'total' }, to: [] };
  return [
    {
      policy: { kind: 'RateLimitPolicy', namespace: 'shop', name: 'reviews' },
      limits: limits.map((rest) => ({ ...limit, ...rest })),
    },
  ];
}

const startReviews = () => startApp((_request, response) => response.end('reviewed'));

describe('a rate limit', () => {
  it('answers 429 beyond its burst, and says when to come again and why', async () => {
    const rateLimits = limited({ name: 'all', requests: 2, burst: 2 });
    const { outbound, server } = await startPairTo(await startReviews(), { rateLimits });
    const answers = [await send(outbound), await send(outbound), await send(outbound, { path: '/a?token=b' })];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);

    const { headers, body } = answers[2];
    const reason = 'limited by all of RateLimitPolicy shop/reviews: 2 in 600 s, up to 2 at once, in total';
    expect(String(body)).toBe(`${reason}\n`);
    expect(headers['ratelimit-policy']).toBe('"all";q=2;w=600');
    expect(headers.ratelimit).toBe(`"all";r=0;t=${headers['retry-after']}`);
    expect(Number(headers['retry-after'])).toBeGreaterThan(290);
    expect(headers['proxy-status']).toBe(`meshwright; error=http_request_denied; details="${reason}"`);

    expect(server.log.entries.at(-1)).toMatchObject({ path: '/a', status: 429, error: reason });
    const exposed = server.metrics.registry.expose();
    expect(exposed).toContain('meshwright_rate_limited_total{policy="RateLimitPolicy shop/reviews",limit="all"} 1');
    expect(exposed).toMatch(/http_server_request_duration_seconds_count\{.*response_class="4xx"\} 1/);
  });

  it('tells what is left where its policy asks for that, beside what the application tells', async () => {
    const [policy] = limited({ requests: 600, burst: 3, interval: 600_000 });
    const app = await startApp((_request, response) => {
      response.setHeader('ratelimit', '"own";r=7');
      response.end();
    });
    const { outbound } = await startPairTo(app, { rateLimits: [{ ...policy, headers: 'always' }] });
    const told = async () => {
      const { status, headers } = await send(outbound);
      return [status, headers['ratelimit-policy'], headers.ratelimit];
    };
    expect(await told()).toEqual([200, '"all";q=600;w=600', '"own";r=7, "all";r=2;t=1']);
    expect((await told())[2]).toMatch(/^"own";r=7, "all";r=1;t=[12]$/);
    expect((await told())[2]).toMatch(/^"own";r=7, "all";r=0;t=[23]$/);
    expect((await told())[0]).toBe(429);
  });

  it('counts what it is about, by caller and by header', async () => {
    const rateLimits = limited(
      {
        name: 'writes',
        key: { kind: 'caller' },
        to: [{ methods: ['POST'], paths: [{ kind: 'prefix', value: '/a' }] }],
      },
      { name: 'keys', burst: 2, key: { kind: 'header', name: 'x-api-key' } },
    );
    const { outbound } = await startPairTo(await startReviews(), { rateLimits });
    const status = async (method: string, path: string, key: string) =>
      (await send(outbound, { method, path, headers: { 'x-api-key': key } })).status;
    expect(await status('POST', '/a/1', 'one')).toBe(200);
    expect(await status('POST', '/b/../a/2', 'one')).toBe(429);
    expect(await status('GET', '/a/1', 'one')).toBe(200);
    expect(await status('GET', '/a/1', 'one')).toBe(429);
    expect(await status('GET', '/a/1', 'two')).toBe(200);
  });

  it('does not count what access policy denies', async () => {
    const access = [
      {
        policy: { kind: 'AccessPolicy', namespace: 'shop', name: 'reviews' },
        rules: [{ name: 'no-posts', action: 'deny' as const, from: [], to: [{ methods: ['POST'], paths: [] }] }],
      },
    ];
    const { outbound, server } = await startPairTo(await startReviews(), { access, rateLimits: limited({}) });
    expect((await send(outbound, { method: 'POST' })).status).toBe(403);
    expect((await send(outbound)).status).toBe(200);
    expect(server.log.entries[0]).toMatchObject({
      status: 403,
      error: 'POST / of shop/reviews: denied by rule no-posts of AccessPolicy shop/reviews',
    });
  });

  it('keeps counting when other configuration arrives', async () => {
    const rateLimits = limited({});
    const { outbound, server } = await startPairTo(await startReviews(), { rateLimits });
    expect((await send(outbound)).status).toBe(200);
    const workload = server.proxy.resources.find(({ kind }) => kind === 'workload')!;
    expect(server.proxy.apply([{ ...workload, version: 'v2' } as typeof workload], 'workload', [])).toEqual([]);
    expect((await send(outbound)).status).toBe(429);
  });

  it('turns new connections away on a TCP port, and leaves those it has', async () => {
    const rateLimits = limited({ name: 'connections' });
    const { outbound, server } = await startPairTo(await startEcho('hello '), { protocol: 'tcp', rateLimits });
    const first = connect(outbound, '127.0.0.1');
    await readUntil(first, 'hello ');
    const second = connect(outbound, '127.0.0.1');
    expect(await readAll(second)).toBe('');
    const echoed = readUntil(first, 'still here');
    first.write('still here');
    await echoed;
    first.destroy();
    expect(server.metrics.registry.expose()).toContain(
      'meshwright_rate_limited_total{policy="RateLimitPolicy shop/reviews",limit="connections"} 1',
    );
  });
});
