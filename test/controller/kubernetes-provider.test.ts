import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  createKubernetesProvider,
  type KubernetesProvider,
} from '../../runtime/controller/kubernetes/kubernetes-provider.ts';
import { watchedKinds } from '../../runtime/controller/kubernetes/watched-kinds.ts';
import { ApiError, type RawObject } from '../../runtime/kubernetes/index.ts';
import type { Kind, Manifest } from '../../runtime/resources/index.ts';
import { MemoryApi } from '../kubernetes/memory-api.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';

const service = (name: string, port = 80): RawObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: { ports: [{ port }] },
});
const route = (name: string, timeout = '1s', status: unknown = undefined): RawObject => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name, namespace: 'shop' },
  spec: { rules: [{ timeouts: { request: timeout } }] },
  status,
});
const routeRef = { kind: 'HTTPRoute', namespace: 'shop', name: 'web' };

let clock: ManualClock;
let api: MemoryApi;
let provider: KubernetesProvider;
/** Why objects could not be read at the start. */
let reasons: string[];
let told: { manifest: Manifest; changed: readonly Kind[] }[];

/** Reads and watches; what is told of afterwards is in `told`. */
async function start(): Promise<Manifest> {
  const manifest = await provider.read();
  provider.watch((next, changed) => told.push({ manifest: next, changed: [...(changed ?? [])] }));
  await watching();
  return manifest;
}

const kinds = watchedKinds.length;
const watching = () => eventually(() => api.openWatches === kinds);
/** Lets time pass until a condition holds. */
const inTime = (condition: () => boolean, step = 50) =>
  eventually(() => {
    if (condition()) return true;
    clock.advance(step);
    return false;
  });
const names = (manifest: Manifest) => manifest.objects.map(({ metadata }) => metadata.name).sort();
const count = (verb: string, kind: string) =>
  api.calls.filter((call) => call.verb === verb && call.kind === kind).length;

beforeEach(() => {
  clock = new ManualClock();
  api = new MemoryApi(clock);
  reasons = [];
  const logger = { info: () => {}, warn: (details: object) => reasons.push((details as { reason: string }).reason) };
  provider = createKubernetesProvider({ api, clock, random: () => 0.5, logger });
  told = [];
});

afterEach(async () => {
  await provider.close();
  expect(api.openWatches).toBe(0);
});

describe('the provider of a cluster', () => {
  it('reads all objects, page by page', async () => {
    for (let index = 0; index < 1201; index++) api.put(service(`s${index}`));
    const manifest = await start();
    expect(manifest.objects).toHaveLength(1201);
    expect(manifest.findings).toStrictEqual([]);
    expect(count('list', 'Service')).toBe(3);
  });

  it('tells what changed, once for all that changes together, and keeps what did not the same', async () => {
    api.put(service('a'));
    api.put(service('b'));
    const first = await start();
    api.put(service('a', 81));
    clock.advance(40);
    api.put(route('web'));
    clock.advance(49);
    expect(told).toHaveLength(0);
    clock.advance(1);
    expect(told.map(({ changed }) => changed)).toStrictEqual([['Service', 'HTTPRoute']]);
    const [{ manifest }] = told;
    const find = ({ objects }: Manifest, name: string) => objects.find(({ metadata }) => metadata.name === name);
    expect(find(manifest, 'b')).toBe(find(first, 'b'));
    expect(find(manifest, 'a')).not.toBe(find(first, 'a'));
    api.delete('Service', 'b');
    clock.advance(50);
    expect(names(told[1].manifest)).toStrictEqual(['a', 'web']);
  });

  it('waits for no end of a change that has none', async () => {
    await start();
    for (let index = 0; index < 10; index++) {
      api.put(service('a', 80 + index));
      clock.advance(30);
    }
    expect(told).toHaveLength(1);
  });

  it('does not tell of what the mesh does not read, but of a touch', async () => {
    api.put(route('web'));
    await start();
    const touched: string[] = [];
    provider.onTouch(({ kind, namespace, name }) => touched.push(`${kind} ${namespace}/${name}`));
    const written = api.put(route('web', '1s', { parents: [] }));
    clock.advance(1000);
    expect(told).toHaveLength(0);
    expect(touched).toStrictEqual(['HTTPRoute shop/web']);
    expect(provider.live(routeRef)).toMatchObject({
      resourceVersion: written.metadata.resourceVersion,
      status: { parents: [] },
    });
  });

  it('keeps the last version that it could read, and says what is wrong with the newest', async () => {
    api.put(route('web', '1s'));
    await start();
    api.put(route('web', 'soon'));
    clock.advance(50);
    const [{ manifest }] = told;
    expect(manifest.objects).toMatchObject([{ spec: { rules: [{ timeouts: { request: '1s' } }] } }]);
    expect(manifest.findings).toMatchObject([
      { id: 'MW1002', object: 'HTTPRoute shop/web spec.rules[0].timeouts.request (cluster)' },
    ]);
    api.put(route('web', '2s'));
    clock.advance(50);
    expect(told[1].manifest.findings).toStrictEqual([]);
  });

  it('leaves out pods that are done', async () => {
    const pod = (phase: string): RawObject => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: phase.toLowerCase(), namespace: 'shop' },
      spec: { containers: [] },
      status: { phase },
    });
    for (const phase of ['Running', 'Succeeded', 'Failed']) api.put(pod(phase));
    expect(names(await start())).toStrictEqual(['running']);
  });
});

describe('kinds that are not there', () => {
  it('are reported, looked for, and read once they are', async () => {
    for (const kind of ['HTTPRoute', 'GRPCRoute']) {
      for (const version of ['v1', 'v1beta1']) api.missing.add(`gateway.networking.k8s.io/${version}/${kind}`);
    }
    api.put(route('web'));
    const manifest = await provider.read();
    provider.watch((next) => told.push({ manifest: next, changed: [] }));
    expect(names(manifest)).toStrictEqual([]);
    expect(manifest.findings).toMatchObject([
      { id: 'MW1007', message: expect.stringContaining('HTTPRoute, GRPCRoute') },
    ]);
    api.missing.clear();
    await inTime(() => told.at(-1)?.manifest.findings.length === 0);
    expect(names(told.at(-1)!.manifest)).toStrictEqual(['web']);
  });

  it('are read in an older version where that is served', async () => {
    api.missing.add('gateway.networking.k8s.io/v1/ReferenceGrant');
    const spec = { from: [{ group: '', kind: 'Service', namespace: 'shop' }], to: [{ group: '', kind: 'Service' }] };
    const apiVersion = 'gateway.networking.k8s.io/v1beta1';
    api.put({ apiVersion, kind: 'ReferenceGrant', metadata: { name: 'grant', namespace: 'shop' }, spec });
    const manifest = await start();
    expect(names(manifest)).toStrictEqual(['grant']);
    expect(manifest.findings).toStrictEqual([]);
  });

  it('take their objects with them only when they are gone for half a minute', async () => {
    api.put(route('web'));
    await start();
    for (const version of ['v1', 'v1beta1']) api.missing.add(`gateway.networking.k8s.io/${version}/HTTPRoute`);
    api.endWatches(undefined, 'HTTPRoute');
    await inTime(() => count('list', 'HTTPRoute') >= 3);
    clock.advance(50);
    expect(told).toStrictEqual([]);
    await inTime(() => told.length > 0, 1000);
    expect(names(told[0].manifest)).toStrictEqual([]);
    expect(told[0].manifest.findings).toMatchObject([{ id: 'MW1007' }]);
  });
});

describe('when watches fail, the provider', () => {
  it('goes on from the last bookmark without listing', async () => {
    await start();
    api.put(service('a'));
    api.bookmark();
    api.endWatches();
    api.put(service('b'));
    await inTime(() => told.some(({ manifest }) => names(manifest).join() === 'a,b'));
    expect(count('list', 'Service')).toBe(1);
  });

  it('lists again where the server forgot what happened since', async () => {
    api.put(service('a'));
    api.put(service('b'));
    await start();
    api.silent = true;
    api.delete('Service', 'a');
    api.put(service('c'));
    api.compact();
    api.silent = false;
    api.endWatches();
    await inTime(() => told.some(({ manifest }) => names(manifest).join() === 'b,c'));
    expect(count('list', 'Service')).toBe(2);
  });

  it('starts a watch anew that says nothing', async () => {
    await start();
    api.silent = true;
    api.put(service('a'));
    clock.advance(99_000);
    api.silent = false;
    expect(told).toStrictEqual([]);
    await inTime(() => told.length > 0, 1000);
    expect(names(told[0].manifest)).toStrictEqual(['a']);
    expect(count('list', 'Service')).toBe(1);
  });

  it('lists everything from time to time, which is nothing where nothing was lost', async () => {
    api.put(service('a'));
    await start();
    /** Like a watch that is alive and loses events. */
    const pass = async (until: () => boolean) => {
      await eventually(() => {
        if (until()) return true;
        if (api.openWatches === kinds) clock.advance(30_000);
        api.bookmark();
        return false;
      });
    };
    await pass(() => count('list', 'Service') === 2);
    expect(told).toStrictEqual([]);
    expect(clock.now()).toBeGreaterThan(9 * 60_000);
    expect(clock.now()).toBeLessThan(13 * 60_000);
  });

  it('keeps the last state while the API server is away, says so, and comes back by itself without haste', async () => {
    api.put(service('a'));
    await start();
    api.down = true;
    await inTime(() => told.some(({ manifest }) => manifest.findings.some(({ id }) => id === 'MW1008')));
    expect(names(told.at(-1)!.manifest)).toStrictEqual(['a']);
    const [before, calls] = [clock.now(), api.calls.length];
    await inTime(() => clock.now() - before > 60_000, 500);
    // Each kind about every 7.5 seconds in the end.
    expect(api.calls.length - calls).toBeLessThan(kinds * 15);
    api.put(service('b'));
    api.down = false;
    await inTime(() => told.at(-1)?.manifest.findings.length === 0);
    expect(names(told.at(-1)!.manifest)).toStrictEqual(['a', 'b']);
  });

  it('waits as long as the server asks for', async () => {
    await start();
    api.intercept = ({ kind }) => {
      if (kind !== 'Service') return;
      throw new ApiError('too many', { status: 429, reason: 'TooManyRequests', retryAfter: 30_000 });
    };
    api.endWatches(undefined, 'Service');
    await inTime(() => count('watch', 'Service') === 2);
    const from = clock.now();
    await inTime(() => count('watch', 'Service') === 3, 500);
    expect(clock.now() - from).toBeGreaterThan(29_000);
  });

  it('does not run hot where every watch ends at once', async () => {
    api.hasty = true;
    await provider.read();
    const until = clock.now() + 60_000;
    await inTime(() => clock.now() > until, 250);
    expect(count('watch', 'Service')).toBeLessThan(20);
  });

  it('does not run hot where everything is always too old', async () => {
    api.intercept = ({ verb }) => {
      if (verb === 'watch') throw new ApiError('gone', { status: 410, reason: 'Expired' });
    };
    await provider.read();
    const until = clock.now() + 60_000;
    await inTime(() => clock.now() > until, 250);
    expect(count('list', 'Service')).toBeLessThan(20);
  });

  it('waits for the first answer as long as it takes', async () => {
    api.put(service('a'));
    api.down = true;
    const reading = provider.read();
    await inTime(() => clock.now() > 30_000, 500);
    expect(reasons).toContain('connect ECONNREFUSED');
    api.down = false;
    let manifest: Manifest | undefined;
    reading.then((result) => {
      manifest = result;
    });
    await inTime(() => manifest !== undefined, 500);
    expect(names(manifest!)).toStrictEqual(['a']);
  });
});
