import { apply, eventually, get, kubectl } from './kubectl.ts';

/** Answers with the pod's name; `/stream` goes on until the pod ends. */
const server = `
import { createServer } from 'node:http';
const server = createServer((request, response) => {
  if (request.url !== '/stream') return response.end(process.env.HOSTNAME + '\\n');
  const ticking = setInterval(() => response.write('.'), 200);
  response.once('close', () => clearInterval(ticking));
}).listen(8080);
process.once('SIGTERM', () => {
  server.close(() => process.exit(0));
  setTimeout(() => process.exit(0), 5000).unref();
});
`;

/**
 * Sends all the time, at a pace that leaves the machine to others: over connections that are kept, and over new ones.
 * Holds a response that never ends. Tells on port 8099 what became of it.
 */
const client = `
import { Agent, createServer, request } from 'node:http';
const [, target] = process.argv;
const counts = { sent: 0, connections: 0, streams: 0, failures: [] };
const fail = (words) => {
  if (counts.failures.length < 50) counts.failures.push(new Date().toISOString() + ' ' + words);
};
function send(agent, path = '/') {
  return new Promise((resolve, reject) => {
    const sent = request(target + path, { agent, timeout: 20000 }, resolve);
    sent.on('timeout', () => sent.destroy(new Error('no answer in 20 s')));
    sent.on('error', reject);
    sent.end();
  });
}
async function body(response) {
  let text = '';
  for await (const chunk of response) text += chunk;
  return text;
}
async function lane(agentOf, pause) {
  for (;;) {
    try {
      const response = await send(agentOf());
      const said = await body(response);
      if (response.statusCode !== 200) fail(response.statusCode + ' ' + response.headers['proxy-status'] + ' ' + said);
    } catch (error) {
      fail(String(error));
    }
    counts.sent++;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
async function stream() {
  for (;;) {
    try {
      const response = await send(new Agent(), '/stream');
      counts.streams++;
      for await (const _ of response);
    } catch {}
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
const kept = new Agent({ keepAlive: true });
for (let i = 0; i < 3; i++) lane(() => kept, 20);
lane(() => (counts.connections++, new Agent({ keepAlive: false })), 50);
stream();
createServer((request, response) => response.end(JSON.stringify(counts))).listen(8099);
`;

interface Counts {
  readonly sent: number;
  /** How many of them over a connection of their own. */
  readonly connections: number;
  /** How often a response that does not end was begun. */
  readonly streams: number;
  readonly failures: readonly string[];
}

interface Pods {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly status: { readonly podIP: string };
  }[];
}

/** Steady load from a pod of the mesh on a Deployment of the mesh: the sidecars of both carry it. */
export class MeshLoad {
  readonly namespace: string;
  readonly #address: string;

  private constructor(namespace: string, address: string) {
    this.namespace = namespace;
    this.#address = address;
  }

  /** Makes the namespace with a Deployment `server`, its Service, and the pod `client`; all of them are ready. */
  static async start(namespace: string, image: string): Promise<MeshLoad> {
    const labels = { 'meshwright.dev/inject': 'enabled' };
    await apply(JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } }));
    const script = (text: string, ...args: readonly string[]) => ({
      image,
      command: ['node', '--input-type=module', '-e', text, ...args],
      resources: { requests: { cpu: '10m', memory: '32Mi' } },
    });
    const probe = (port: number) => ({ readinessProbe: { httpGet: { port }, periodSeconds: 1 } });
    await create({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'server', namespace },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: 'server' } },
        template: {
          metadata: { labels: { app: 'server' } },
          spec: { containers: [{ name: 'app', ...script(server), ...probe(8080) }] },
        },
      },
    });
    await create({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'server', namespace },
      spec: { selector: { app: 'server' }, ports: [{ name: 'http', port: 8080, appProtocol: 'http' }] },
    });
    await kubectl(['-n', namespace, 'rollout', 'status', 'deployment/server', '--timeout=90s']);
    await create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'client',
        namespace,
        labels: { app: 'client' },
        annotations: { 'meshwright.dev/skip-inbound-ports': '8099' },
      },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [{ name: 'app', ...script(client, 'http://server:8080'), ...probe(8099) }],
      },
    });
    await kubectl(['-n', namespace, 'wait', '--for=condition=Ready', 'pod/client', '--timeout=90s']);
    const { items } = await get<Pods>('-n', namespace, 'pods', '-l', 'app=client');
    const load = new MeshLoad(namespace, items[0].status.podIP);
    await load.more(10);
    return load;
  }

  async counts(): Promise<Counts> {
    return JSON.parse(await this.ask(`http://${this.#address}:8099/`)) as Counts;
  }

  /** Resolves when `count` more requests were answered. */
  async more(count: number): Promise<void> {
    const { sent } = await this.counts();
    await eventually(`${count} more requests are answered`, async () => (await this.counts()).sent >= sent + count);
  }

  /** Failures while `disturb` ran and in the requests after it; an interrupted stream is one where `keepsStreams`. */
  async failuresDuring(disturb: () => Promise<unknown>, { keepsStreams = false } = {}): Promise<readonly string[]> {
    const before = await this.counts();
    await disturb();
    await this.more(100);
    const after = await this.counts();
    const failures = after.failures.slice(before.failures.length);
    if (after.connections <= before.connections) failures.push('no new connection was made');
    if (keepsStreams && after.streams > before.streams) {
      failures.push(`a stream was begun anew ${after.streams - before.streams} times`);
    }
    return failures;
  }

  /** Addresses of its pods by name. */
  async pods(app: 'server' | 'client'): Promise<ReadonlyMap<string, string>> {
    const { items } = await get<Pods>('-n', this.namespace, 'pods', '-l', `app=${app}`);
    return new Map(items.map(({ metadata, status }) => [metadata.name, status.podIP]));
  }

  /** The value of a metric without labels of a pod's sidecar. */
  async metric(address: string, name: string): Promise<number> {
    const metrics = await this.ask(`http://${address}:15020/metrics`);
    return Number(new RegExp(`^${name} (.+)$`, 'm').exec(metrics)?.[1]);
  }

  async ask(url: string): Promise<string> {
    const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
    return response.text();
  }

  async stop(): Promise<void> {
    await kubectl(['delete', 'namespace', this.namespace, '--timeout=120s']);
  }
}

/** Once injection works: the webhook of a new control plane may not be there yet. */
function create(object: object): Promise<string> {
  return eventually('the object is made', () => apply(JSON.stringify(object)));
}
