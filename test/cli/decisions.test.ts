import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { meshwright } from './cli.ts';

const fixtures = fileURLToPath(new URL('./fixtures', import.meta.url));
const inFixtures = ['--manifests', fixtures];

it('explains which access rule denies a request, and why the other did not decide', async () => {
  const to = ['--from', 'shop/web', '--to', 'http://cart:7070/items', '-X', 'DELETE'];
  const { code, stdout } = await meshwright(['explain', ...to, ...inFixtures]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^403: /);
  expect(stdout).toContain('shop/cart (mutual TLS) denies it: denied by rule no-delete of AccessPolicy shop/cart');
  expect(stdout).toContain('* deny rule no-delete of AccessPolicy shop/cart: method is DELETE');
  expect(stdout).toContain('- allow rule web-only of AccessPolicy shop/cart: ');
});

it('explains which route decides, and which condition of the others fails', async () => {
  const { stdout } = await meshwright(['explain', '--from', 'shop/web', '--to', 'http://reviews:9080/', ...inFixtures]);
  expect(stdout).toContain('* rule split of HTTPRoute shop/reviews');
  expect(stdout).toContain('- rule canary of HTTPRoute shop/reviews: not so: header x-canary');
});

it('simulates where a request goes, with which probability', async () => {
  const { stdout } = await meshwright([
    ...['simulate', '--from', 'shop/web', '--to', 'http://reviews:9080/', '-o', 'json'],
    ...inFixtures,
  ]);
  const decision = JSON.parse(stdout) as { targets: { service: string; probability: number }[] };
  expect(decision).toMatchObject({
    outcome: 'forward',
    route: 'HTTPRoute shop/reviews',
    rule: 'split',
    timeouts: { request: 2000 },
    retry: { attempts: 2, codes: [503] },
    delivered: 1,
  });
  expect(decision.targets.map(({ service, probability }) => [service, probability])).toEqual([
    ['shop/reviews-v1', 0.9],
    ['shop/reviews-v2', 0.1],
  ]);
});

it('says what a gateway makes of the address of a client', async () => {
  const asked = ['--gateway', 'greeter/edge', '--to', 'http://greeter.example/hello/ada'];
  const { stdout } = await meshwright(['explain', ...asked, '--client', '10.2.7.9', '--manifests', 'examples/greeter']);
  expect(stdout).toContain(
    '  client    10.2.7.9: it is a trusted proxy of 10.2.7.0/24, so what it says of its clients counts\n',
  );
});

it('takes headers as curl does', async () => {
  const { stdout } = await meshwright([
    ...['simulate', '--from', 'shop/web', '--to', 'http://reviews:9080/', '-H', 'X-Canary: always', '-o', 'yaml'],
    ...inFixtures,
  ]);
  expect(stdout).toContain('rule: canary\n');
});

it('decides about the path as it was written', async () => {
  const { stdout } = await meshwright([
    'simulate',
    '--from',
    'shop/web',
    '--to',
    'http://cart:7070/a\\b',
    ...inFixtures,
  ]);
  expect(stdout).toMatch(/^400: the path \/a\\b is malformed/);
});

it.each([
  [['--from', 'shop/nobody', '--to', 'http://cart:7070/'], 'unknown workload shop/nobody; there are: shop/cart'],
  [['--gateway', 'shop/none', '--to', 'http://cart:7070/'], 'unknown gateway shop/none; there are: none'],
  [
    ['--from', 'shop/web', '--client', '10.1.2.3', '--to', 'http://cart:7070/'],
    '--from and --client exclude each other',
  ],
  [['--client', 'ingress', '--to', 'http://cart:7070/'], '--client must be an address of IPv4 or IPv6, got ingress'],
  [['--from', 'shop/web', '--to', 'cart'], '--to must be a URL'],
  [['--from', 'shop/web', '--to', 'http://cart:7070/', '-H', 'nonsense'], "-H must be 'name: value', got 'nonsense'"],
  [['--from', 'shop/web', '--gateway', 'shop/a', '--to', 'http://a/'], 'exclude each other'],
  [['--from', 'shop/web'], "required option '--to <url>' not specified"],
])('takes %j for a mistake of the caller', async (args, message) => {
  const { code, stdout, stderr } = await meshwright(['explain', ...args, ...inFixtures]);
  expect(code).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toContain(message);
});

it('does not decide in a folder that holds no mesh', async () => {
  using directory = new TemporaryDirectory();
  await directory.write('notes.txt', 'none');
  const asked = ['simulate', '--manifests', directory.path, '--to', 'http://cart:7070/'];
  const { code, stdout, stderr } = await meshwright(asked);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(`there is nothing to check in ${directory.path}: no file there ends in .yaml`);
});

it('decides by the server name of a TLS handshake, which --to names where it is https', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'meshwright-tls-'));
  const manifests = ['db', 'eu', 'us'].map(
    (name) => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec: { clusterIP: ${name === 'db' ? '10.96.0.1' : '10.96.0.2'}, ports: [{ port: 5433 }] }
---`,
  );
  const routes = ['eu', 'us'].map(
    (name) => `
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: { name: ${name}, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: db }]
  hostnames: [${name}.db.example]
  rules: [{ backendRefs: [{ name: ${name}, port: 5433 }] }]
---`,
  );
  const web = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web, meshwright.dev/inject: enabled } }
    spec: { containers: [{ name: web, image: web }] }`;
  try {
    await writeFile(join(folder, 'mesh.yaml'), [...manifests, ...routes, web].join(''));
    const asked = ['simulate', '--from', 'shop/web', '--manifests', folder, '-o', 'json', '--to'];
    const decided = async (...args: string[]) => JSON.parse((await meshwright([...asked, ...args])).stdout);
    const named = ['--server-name', 'us.db.example'];
    expect(await decided('https://db.shop:5433', ...named)).toMatchObject({ route: 'TLSRoute shop/us' });
    expect(await decided('https://db.shop:5433')).toMatchObject({
      outcome: 'refuse',
      reason: 'closed: no TLSRoute is for db.shop',
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});
