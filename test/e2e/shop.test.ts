import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it, test } from '@jest/globals';
import { summarise } from '../../runtime/cli/decision-report.ts';
import type { ProxyView, ServiceView } from '../../runtime/controller/index.ts';
import { createSnapshot, decide, type MeshSnapshot } from '../../runtime/engine/index.ts';
import { type CorpusLine, readCorpus } from '../corpus/corpus.ts';
import { foretell } from '../corpus/foretell.ts';
import { expectAnswer, expectArrived, expectLogged } from '../corpus/real-answer.ts';
import { eventually } from '../support/eventually.ts';
import { SteadyLoad } from '../support/steady-load.ts';
import { RunningExample } from './running-example.ts';

let shop: RunningExample;

beforeAll(async () => {
  shop = await RunningExample.start('shop');
}, 90_000);

afterAll(async () => {
  await shop?.stop();
}, 30_000);

interface Edge {
  readonly service: string;
  readonly rps: number;
  readonly mtls?: number;
}

const pods: Readonly<Record<string, string>> = {
  web: 'web-0',
  catalog: 'catalog-0',
  'reviews-v1': 'reviews-v1-0',
  'reviews-v2': 'reviews-v2-0',
};

describe('the shop, run by meshwright up', () => {
  it('shows its page through the gateway', async () => {
    const page = await shop.fetch();
    expect(page.status).toBe(200);
    expect(page.body).toContain('The Meshwright Shop');
    expect(page.body).toContain('Moby-Dick');
    expect(page.headers['x-powered-by']).toBe('meshwright');
  });

  it('shows another version of reviews to who sends the canary header', async () => {
    const page = await shop.fetch({ headers: { 'x-canary': 'always' } });
    expect(page.body).toContain('reviews v3');
    expect(page.body).not.toContain('reviews v1');
  });

  it('keeps a cart, over TCP to its store', async () => {
    const added = await shop.fetch({
      method: 'POST',
      path: '/cart',
      body: 'product=walden',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '14' },
    });
    expect(added.status).toBeLessThan(400);
    expect((await shop.fetch()).body).not.toContain('Your cart is empty');
  });

  it('splits 10,000 requests as the weights say, within 2 %', async () => {
    const counts: Record<string, number> = { v1: 0, v2: 0, v3: 0 };
    const total = 10_000;
    let next = 0;
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        while (next++ < total) {
          const { body } = await shop.call('web-0', 'reviews:9080', { path: '/reviews/none' });
          counts[JSON.parse(body).version]++;
        }
      }),
    );
    for (const [version, share] of Object.entries({ v1: 0.8, v2: 0.15, v3: 0.05 })) {
      expect(Math.abs(counts[version] / total - share)).toBeLessThan(0.02);
    }
  }, 60_000);

  it('denies what policy denies, and explain names the rule', async () => {
    const denied = await shop.call('web-0', 'cart:7070', { method: 'DELETE', path: '/items' });
    expect(denied.status).toBe(403);
    const { code, stdout } = await shop.cli(
      'explain',
      '--from',
      'shop/web',
      '--to',
      'http://cart:7070/items',
      '-X',
      'DELETE',
    );
    expect(code).toBe(0);
    expect(stdout).toContain('no-delete');
    expect(stdout).toContain('AccessPolicy shop/cart-access');
  });

  it('knows who calls whom, and that all of it is encrypted', async () => {
    await shop.fetch();
    const edges = await eventually(async () => {
      const { stdout } = await shop.cli('edges', '-o', 'json');
      const rows = JSON.parse(stdout);
      return rows.some(({ service, rps }: Edge) => service === 'shop/reviews' && rps > 0) && rows;
    }, 15_000);
    const busy = edges.filter(({ rps }: Edge) => rps > 0);
    expect(busy.map(({ mtls }: Edge) => mtls)).toEqual(busy.map(() => 1));
    const stat = await shop.cli('stat');
    expect(stat.code).toBe(0);
    expect(stat.stdout).toContain('reviews');
  }, 60_000);
});

describe('the corpus, through real sidecars', () => {
  const lines = readCorpus('shop').map((line) => [line.name, line] as const);
  let mesh: MeshSnapshot;

  beforeAll(async () => {
    mesh = createSnapshot(await shop.resources());
  }, 30_000);

  const ask = async ({ from, gateway, to, method, path, headers, body }: CorpusLine['request'], requestId: string) => {
    const sent = { ...headers, 'x-request-id': requestId, ...(body && { 'content-length': String(body.length) }) };
    const request = { method, path, headers: sent, body };
    return gateway ? shop.fetch(request) : shop.call(pods[from ?? ''], to ?? '', request);
  };
  /** What the proxy that sends a request on logs of it. */
  const logged = ({ from, gateway }: CorpusLine['request'], requestId: string) =>
    eventually(() => shop.logged(gateway ? 'shop-meshwright-0' : pods[from ?? ''], requestId));

  test.each(lines)('%s', async (_name, { request, expect: wanted }) => {
    const requestId = crypto.randomUUID();
    expectAnswer(wanted, await ask(request, requestId));
    if (wanted.targets === undefined) return;
    const entry = await logged(request, requestId);
    expectLogged(wanted, entry);
    if (wanted.forwarded) {
      const arrived = await eventually(() => shop.arrived(String(entry.target), requestId));
      expectArrived(wanted.forwarded, arrived);
    }
    const { key } = wanted.balancing?.[String(entry.target).replace('shop/', '')] ?? {};
    for (let again = 0; key !== undefined && again < 3; again++) {
      const next = crypto.randomUUID();
      await ask(request, next);
      expect(await logged(request, next)).toMatchObject({ upstream: entry.upstream });
    }
  });

  test.each(lines)('is what the configuration of the sidecars says: %s', (_name, { request, expect: wanted }) => {
    const { from, gateway, to, body, ...rest } = request;
    const host = rest.headers?.host ?? gateway;
    const asked = gateway
      ? { ...rest, gateway: `shop/${gateway}`, to: host ?? '' }
      : { ...rest, from: `shop/${from}`, to: to ?? '' };
    expect(foretell(summarise(decide(mesh, asked)), wanted)).toEqual(wanted);
  });
});

describe('under steady load', () => {
  let load: SteadyLoad;
  afterEach(() => load.stop());

  const versions = () => shop.call('web-0', 'reviews:9080', { path: '/reviews/none' });
  const bothReady = (service: string) =>
    eventually(async () => {
      // The controller may be away.
      const list = async (path: string): Promise<unknown> =>
        (await (await fetch(`${shop.admin}/api/v1/${path}`).catch(() => undefined))?.json()) ?? [];
      const services = (await list('services')) as ServiceView[];
      if (services.find(({ name }) => name === `shop/${service}`)?.endpoints !== 2) return false;
      // After a restart of the controller they come back one by one; until then they know of no change.
      const proxies = (await list('proxies')) as ProxyView[];
      const upToDate = proxies.filter(({ upToDate }) => upToDate);
      return upToDate.length === proxies.length && proxies.length === (await running('/pods/')).length;
    }, 30_000);
  const bothCatalogsReady = () => bothReady('catalog');
  const running = async (part: string) =>
    (await shop.family()).filter(({ command }) => command.includes(part)).map(({ pid }) => pid);
  const products = () => shop.call('web-0', 'catalog:9080', { path: '/products' });

  it('an edit of main.ts reaches the proxies in under a second and drops no request', async () => {
    // A product without reviews, so that nothing but the version is asked for.
    load = new SteadyLoad(4, versions, { expected: 404 });
    await load.more(50);
    const started = performance.now();
    shop.edit((source) => source.replace('{ v1: 80, v2: 15, v3: 5 }', '{ v1: 0, v2: 0, v3: 100 }'));
    let last = 0;
    await eventually(async () => {
      const answers = await Promise.all(Array.from({ length: 8 }, versions));
      last = performance.now() - started;
      return answers.every(({ body }) => JSON.parse(body).version === 'v3');
    }, 10_000);
    await load.stop();
    expect(load.failures).toEqual([]);
    process.stderr.write(`an edit was live after ${Math.round(last)} ms\n`);
    expect(last).toBeLessThan(process.env.CI ? 5_000 : 2_500);
  }, 60_000);

  it('a killed application of two costs nothing but what it was answering', async () => {
    load = new SteadyLoad(4, products);
    await load.more(50);
    process.kill(await shop.pidOf('services/catalog.ts'), 'SIGKILL');
    await load.more(400);
    await load.stop();
    expect(load.failures.slice(4)).toEqual([]);
    await bothCatalogsReady();
  }, 60_000);

  it('a killed sidecar of two costs nothing but what went through it', async () => {
    load = new SteadyLoad(4, products);
    await load.more(50);
    process.kill(await shop.pidOf('pods/catalog-1.shop/'), 'SIGKILL');
    await load.more(400);
    await load.stop();
    expect(load.failures.slice(4)).toEqual([]);
    await bothCatalogsReady();
  }, 60_000);

  it('a rolling restart of sidecars, applications and the controller fails no request', async () => {
    load = new SteadyLoad(4, products);
    await load.more(50);
    for (const part of ['pods/catalog-', 'services/catalog.ts', 'main.ts controller']) {
      const before = await running(part);
      for (const pid of before) {
        process.kill(pid, 'SIGTERM');
        await eventually(async () => {
          const now = await running(part);
          return !now.includes(pid) && now.length === before.length;
        }, 40_000);
        await bothCatalogsReady();
        await load.more(100);
      }
    }
    await load.stop();
    expect(load.failures).toEqual([]);
  }, 180_000);

  it('a killed controller costs nothing, and comes back', async () => {
    load = new SteadyLoad(4, products);
    await load.more(50);
    const controller = await shop.pidOf('main.ts controller');
    process.kill(controller, 'SIGKILL');
    await load.more(400);
    expect(load.failures).toEqual([]);
    const successor = await eventually(async () => {
      const pid = await shop.pidOf('main.ts controller').catch(() => controller);
      return pid !== controller && pid;
    }, 30_000);
    expect(successor).not.toBe(controller);
    await load.stop();
    expect(load.failures).toEqual([]);
  }, 90_000);

  // The last one: it gives the pods of web other names.
  it('a rolling restart of callers loses no order and takes none twice, and streams of others go on', async () => {
    shop.edit((source) => source.replace("workload: program('web'),", "workload: { ...program('web'), replicas: 2 },"));
    await bothReady('web');
    const store = (await shop.tunnel('cart-0', 'cart-store:6380')).setEncoding('utf8');
    expect(await once(store, 'data')).toEqual(['READY cart-store\n']);

    load = new SteadyLoad(2, () => shop.fetch({ path: '/api/products' }));
    const headers = { 'content-type': 'application/json', 'x-user': 'steady' };
    const orders = new SteadyLoad(
      2,
      async (id) => {
        // Below the rate limit of the cart.
        await new Promise((resolve) => setTimeout(resolve, 20));
        return shop.fetch({ method: 'POST', path: '/api/cart', headers, body: JSON.stringify({ product: `p${id}` }) });
      },
      { expected: 201 },
    );
    await load.more(50);
    for (const pid of await running('pods/web-')) {
      process.kill(pid, 'SIGTERM');
      await eventually(async () => !(await running('pods/web-')).includes(pid), 40_000);
      await bothReady('web');
      await load.more(100);
    }
    // Applications and sidecars both, as a rollout does it.
    const before = await running('services/web.ts');
    shop.edit((source) =>
      source.replace("...program('web'), replicas: 2", "...program('web'), env: { ROLL: '1' }, replicas: 2"),
    );
    await eventually(async () => {
      const now = await running('services/web.ts');
      return now.length === 2 && !now.some((pid) => before.includes(pid));
    }, 60_000);
    await bothReady('web');
    await load.more(100);
    await Promise.all([load.stop(), orders.stop()]);
    expect([load.failures, orders.failures]).toEqual([[], []]);
    const { items } = JSON.parse((await shop.fetch({ path: '/api/cart', headers })).body);
    expect(items.toSorted()).toEqual(Array.from({ length: orders.sent }, (_, id) => `p${id}`).toSorted());
    expect(orders.sent).toBeGreaterThan(100);
    store.write('GET nobody\n');
    expect(await once(store, 'data')).toEqual(['NONE\n']);
    store.destroy();
  }, 240_000);
});

describe('the end', () => {
  it('leaves no process behind after Ctrl-C', async () => {
    expect((await shop.family()).length).toBeGreaterThan(20);
    expect(await shop.stop('SIGINT')).toEqual([]);
  }, 60_000);
});
