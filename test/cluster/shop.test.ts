import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it, test } from '@jest/globals';
import { readCorpus } from '../corpus/corpus.ts';
import { expectAnswer, expectLogged } from '../corpus/real-answer.ts';
import { SteadyLoad } from '../support/steady-load.ts';
import { Agent, type Answer, type Call } from './agent.ts';
import { apply, eventually, get, kubectl } from './kubectl.ts';

/*
 * examples/shop, synthesised by cdk8s and applied to the cluster on which the control plane runs.
 */

const namespace = 'shop';
const image = 'meshwright/example-shop:0.1.0';
const agents = new Map<string, Agent>();
let manifests = '';
let gateway: { readonly host: string; readonly port: number };

interface Service {
  readonly spec: { readonly ports: readonly { readonly nodePort?: number }[] };
}
interface Nodes {
  readonly items: readonly { readonly status: { readonly addresses: readonly { readonly address: string }[] } }[];
}

beforeAll(async () => {
  const dist = mkdtempSync(join(tmpdir(), 'meshwright-shop-'));
  execFileSync(process.execPath, ['examples/shop/main.ts'], { env: { ...process.env, CDK8S_OUTDIR: dist } });
  manifests = readdirSync(dist)
    .sort()
    .map((file) => readFileSync(join(dist, file), 'utf8'))
    .join('---\n');
  rmSync(dist, { recursive: true });
  const home = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
  await apply(`${JSON.stringify(home)}\n---\n${manifests}`);
  await rollouts();
  const callers = new Set(readCorpus('shop').flatMap(({ request }) => request.from ?? []));
  for (const name of callers) agents.set(name, await Agent.start(namespace, name, image));
  const service = await get<Service>('-n', namespace, 'service', 'shop-meshwright');
  const nodes = await get<Nodes>('nodes');
  gateway = { host: nodes.items[0].status.addresses[0].address, port: service.spec.ports[0].nodePort! };
}, 300_000);

afterAll(async () => {
  for (const agent of agents.values()) await agent.stop();
  if (manifests) await kubectl(['delete', 'namespace', namespace, '--timeout=120s']);
}, 180_000);

async function rollouts(): Promise<void> {
  const { items } = await get<{ items: { metadata: { name: string } }[] }>('-n', namespace, 'deployments');
  for (const { metadata } of items) {
    await kubectl(['-n', namespace, 'rollout', 'status', `deployment/${metadata.name}`, '--timeout=120s']);
  }
}

/** The pod that speaks as a workload: they share a service account. */
function agentOf(workload: string): Agent {
  return agents.get(workload)!;
}

/** A request from outside, through the node's port of the gateway. */
function visit({ method, path, headers, body }: Call = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ ...gateway, method, path, headers }, (response) => {
      const { statusCode: status = 0, headers } = response;
      text(response).then((body) => resolve({ status, headers, body }), reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

async function cli(...args: readonly string[]): Promise<string> {
  return execFileSync(process.execPath, ['runtime/cli/main.ts', ...args], { encoding: 'utf8' });
}

describe('the shop, on Kubernetes', () => {
  it('shows its page through the gateway', async () => {
    const page = await visit();
    expect(page.status).toBe(200);
    expect(page.body).toContain('The Meshwright Shop');
    expect(page.body).toContain('Moby-Dick');
    expect(page.headers['x-powered-by']).toBe('meshwright');
  });

  it('shows another version of reviews to who sends the canary header', async () => {
    const page = await visit({ headers: { 'x-canary': 'always' } });
    expect(page.body).toContain('reviews v3');
    expect(page.body).not.toContain('reviews v1');
  });

  it('keeps a cart, over TCP to its store, where the server speaks first', async () => {
    const added = await visit({
      method: 'POST',
      path: '/cart',
      body: 'product=walden',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '14' },
    });
    expect(added.status).toBeLessThan(400);
    expect((await visit()).body).not.toContain('Your cart is empty');
  });

  it('splits 10,000 requests as the weights say, within 2 %', async () => {
    const counts: Record<string, number> = { v1: 0, v2: 0, v3: 0 };
    const total = 10_000;
    let next = 0;
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        while (next++ < total) {
          const { body } = await agentOf('web').send('reviews:9080', { path: '/reviews/none' });
          counts[JSON.parse(body).version]++;
        }
      }),
    );
    for (const [version, share] of Object.entries({ v1: 0.8, v2: 0.15, v3: 0.05 })) {
      expect(Math.abs(counts[version] / total - share)).toBeLessThan(0.02);
    }
  }, 120_000);

  it('refuses plain text from outside the mesh', async () => {
    const outsider = await Agent.start(namespace, 'default', image, false);
    const refused = await outsider.send('catalog:9080', { path: '/products' });
    expect(refused.status).toBe(0);
    await outsider.stop();
  });
});

describe('the corpus, through real sidecars on Kubernetes', () => {
  // What is not declared is no name of the sidecar's; by its address, which DNS tells here, it is just not of the mesh.
  const lines = readCorpus('shop').filter(({ expect: { status } }) => status !== 502);

  test.each(lines.map((line) => [line.name, line] as const))('%s', async (_name, { request, expect: wanted }) => {
    const { method, path, body } = request;
    const requestId = crypto.randomUUID();
    const headers = {
      ...request.headers,
      'x-request-id': requestId,
      ...(body && { 'content-length': String(body.length) }),
    };
    const call = { method, path, headers, body };
    const answer = request.gateway ? await visit(call) : await agentOf(request.from!).send(request.to!, call);
    expectAnswer(wanted, answer);
    if (wanted.targets === undefined || request.gateway) return;
    const entry = await eventually('the access log tells of it', () => agentOf(request.from!).logged(requestId));
    expectLogged(wanted, entry);
  });
});

describe('under steady load, without a failed request', () => {
  let load: SteadyLoad;
  const products = () => agentOf('web').send('catalog:9080', { path: '/products' });
  const settled = () => kubectl(['-n', namespace, 'rollout', 'status', 'deployment/catalog', '--timeout=120s']);

  afterEach(() => load.stop());

  test.each<[string, () => Promise<unknown>]>([
    [
      'a rolling restart of the application',
      async () => {
        await kubectl(['-n', namespace, 'rollout', 'restart', 'deployment/catalog']);
        await settled();
      },
    ],
    [
      'scaling from 1 to 5 to 2',
      async () => {
        for (const replicas of [1, 5, 2]) {
          await kubectl(['-n', namespace, 'scale', 'deployment/catalog', `--replicas=${replicas}`]);
          await settled();
        }
      },
    ],
    [
      'a rolling restart of the controller',
      async () => {
        const controller = ['-n', 'meshwright-system', 'rollout'];
        await kubectl([...controller, 'restart', 'deployment/meshwright-controller']);
        await kubectl([...controller, 'status', 'deployment/meshwright-controller', '--timeout=120s']);
      },
    ],
    [
      'the deletion of one replica of the controller',
      async () => {
        const pods = ['-n', 'meshwright-system', 'pod', '-l', 'app.kubernetes.io/name=meshwright-controller'];
        const { items } = await get<{ items: { metadata: { name: string } }[] }>(...pods);
        await kubectl(['-n', 'meshwright-system', 'delete', 'pod', items[0].metadata.name]);
      },
    ],
  ])(
    '%s',
    async (_what, disturb) => {
      load = new SteadyLoad(4, products);
      await load.more(50);
      await disturb();
      await load.more(200);
      await load.stop();
      expect(load.failures).toEqual([]);
    },
    300_000,
  );
});

describe('what the control plane knows of it', () => {
  it('accepts every route and policy', async () => {
    const kinds =
      'httproutes,accesspolicies,loadbalancingpolicies,ratelimitpolicies,faultpolicies,circuitbreakerpolicies,outlierdetectionpolicies,timeoutpolicies';
    interface Status {
      readonly conditions?: readonly { readonly type: string; readonly status: string }[];
      readonly parents?: readonly { readonly conditions: readonly { type: string; status: string }[] }[];
    }
    await eventually('all are accepted', async () => {
      const { items } = await get<{ items: { status?: Status }[] }>('-n', namespace, kinds);
      const isAccepted = ({ status }: { status?: Status }) =>
        [...(status?.conditions ?? []), ...(status?.parents ?? []).flatMap(({ conditions }) => conditions)].some(
          ({ type, status }) => type === 'Accepted' && status === 'True',
        );
      return items.length > 5 && items.every(isAccepted);
    });
  });

  it('finds the cluster in order', async () => {
    const { categories } = JSON.parse(await cli('check', '-o', 'json')) as {
      categories: { checks: { result: string }[] }[];
    };
    expect(categories.flatMap(({ checks }) => checks).filter(({ result }) => result === 'error')).toEqual([]);
  });
});
