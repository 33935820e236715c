import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTokenKeys, issueWorkloadToken } from '../../runtime/identity/authority.ts';
import { systemClock } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { type NetworkPod, PodNetwork, type Program } from './interception/network.ts';

/*
 * Real sidecars with real redirects, in network namespaces as pods have them. Needs Linux and root, no cluster.
 */

const possible = process.platform === 'linux' && process.getuid?.() === 0;
const fixture = (name: string): string => `test/cluster/interception/fixtures/${name}.ts`;
const cli = 'runtime/cli/main.ts';
const [http, greeting, echo, admin] = [9080, 6379, 7777, 15020];
/** A virtual address that leads nowhere: only a proxy knows what it means. */
const virtualAddress = '10.204.0.10';
const virtualAddress6 = 'fd78::10';

interface Reply {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}
interface Talk {
  readonly heard: string;
  readonly ended: string;
  readonly milliseconds: number;
}

const mesh = (mtls: string): string => `
apiVersion: meshwright.dev/v1alpha1
kind: Mesh
metadata: { name: default, namespace: shop }
spec: { trustDomain: shop.local, mtls: ${mtls} }
`;

const pod = (name: string, ...addresses: readonly string[]): string => `
apiVersion: v1
kind: Pod
metadata:
  name: ${name}-0
  namespace: shop
  labels: { app: ${name}, meshwright.dev/proxy: sidecar, meshwright.dev/workload: ${name} }
spec: { serviceAccountName: ${name}, containers: [{ name: app, image: app }] }
status: ${JSON.stringify({ phase: 'Running', podIP: addresses[0], podIPs: addresses.map((ip) => ({ ip })) })}
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: ${name}, namespace: shop }
---
`;

const service = (
  name: string,
  address: string,
  port: number,
  protocol: string,
  target: number,
  app = 'reviews',
): string => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec:
  clusterIP: '${address}'
  selector: { app: ${app} }
  ports: [{ name: main, port: ${port}, targetPort: ${target}, appProtocol: ${protocol} }]
---
`;

const slice = (service: string, address: string, port: number, pod = 'reviews-0'): string => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${service}-0, namespace: shop, labels: { kubernetes.io/service-name: ${service} } }
addressType: ${address.includes(':') ? 'IPv6' : 'IPv4'}
ports: [{ name: main, port: ${port} }]
endpoints:
  - addresses: ['${address}']
    conditions: { ready: true }
    targetRef: { kind: Pod, name: ${pod}, namespace: shop }
---
`;

/** Seen by a header of what it routes. */
const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: reviews, namespace: shop }
spec:
  parentRefs: [{ group: '', kind: Service, name: reviews }]
  rules:
    - backendRefs: [{ name: reviews, port: 80 }]
      filters: [{ type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-routed, value: 'yes' }] } }]
`;

(possible ? describe : describe.skip)('interception (Linux, as root)', () => {
  const keys = createTokenKeys();
  let directory: TemporaryDirectory;
  let network: PodNetwork;
  let web: NetworkPod;
  let reviews: NetworkPod;
  /** No proxy is here. */
  let outside: NetworkPod;
  /** Has an address of IPv6 and no other. */
  let six: NetworkPod;
  let wire: Program;
  const sidecars: Record<string, Program> = {};

  const get = (
    from: NetworkPod,
    host: string,
    port = http,
    headers: Record<string, string> = {},
    path = '/',
  ): Promise<Reply> => from.ask(fixture('client'), ['http', host, String(port), JSON.stringify(headers), path]);
  const talk = (from: NetworkPod, host: string, port: number, words?: string): Promise<Talk> =>
    from.ask(fixture('client'), ['tcp', host, String(port), JSON.stringify(words ?? null)]);
  const logOf = (name: string): readonly Record<string, unknown>[] =>
    sidecars[name]
      .output()
      .split('\n')
      .filter((line) => line.includes('"direction"'))
      .map((line) => JSON.parse(line));

  /** How many TCP streams the proxy of a pod has opened, by labels. */
  async function opened(pod: NetworkPod, ...labels: string[]): Promise<number> {
    const { body } = await get(pod, '127.0.0.1', admin, {}, '/metrics');
    return body
      .split('\n')
      .filter(
        (line) => line.startsWith('tcp_connections_opened_total{') && labels.every((label) => line.includes(label)),
      )
      .reduce((sum, line) => sum + Number(line.split('} ')[1]), 0);
  }

  const passedThrough = (): Promise<number> =>
    opened(web, 'direction="outbound"', 'service="passthrough"', 'source="shop/web"', 'mtls="false"');

  const bootstrapOf = (name: string, at: NetworkPod, address = at.address) => ({
    id: `${name}-0.shop`,
    namespace: 'shop',
    serviceAccount: name,
    workload: `shop/${name}`,
    trustDomain: 'shop.local',
    controller: {
      address: address.includes(':') ? `[${network.node.address6}]:15010` : `${network.node.address}:15010`,
      bundleFile: join(directory.path, 'bundle.pem'),
    },
    tokenFile: join(directory.path, `${name}.token`),
    transparent: { inbound: '0.0.0.0:15006', outbound: '127.0.0.1:15001', podIp: address },
    inbound: [],
    outbound: { services: [] },
    gateway: [],
    admin: `0.0.0.0:${admin}`,
    // As Kubernetes puts an address in for $(POD_IP).
    adminAddress: `${address}:${admin}`,
    stateDir: join(directory.path, name, 'kept'),
    accessLog: '-',
    probes: { 'app/readiness': { kind: 'http', port: http, path: '/well', timeoutMs: 1000 } },
  });

  async function startSidecar(name: string, at: NetworkPod, address?: string): Promise<void> {
    const state = join(directory.path, name);
    await mkdir(state);
    await chmod(state, 0o777);
    const claims = { namespace: 'shop', serviceAccount: name, pod: `${name}-0` };
    const settings = { privateKeyPem: keys.privateKeyPem, ttl: 3_600_000, clock: systemClock };
    await writeFile(join(directory.path, `${name}.token`), await issueWorkloadToken(claims, settings));
    // As in a pod: the rules are there before anything else runs.
    at.start(cli, ['redirect']);
    await eventually(() => at.run('nft', 'list', 'tables').includes('meshwright'));
    at.start(fixture('application'), [http, greeting, echo].map(String));
    sidecars[name] = at.start(cli, ['sidecar'], {
      asProxy: true,
      env: { MESHWRIGHT_BOOTSTRAP: JSON.stringify(bootstrapOf(name, at, address)) },
    });
  }

  async function ready(name: string, at: NetworkPod): Promise<void> {
    try {
      await eventually(async () => (await get(at, '127.0.0.1', admin, {}, '/ready')).status === 200, 20_000);
    } catch (error) {
      throw new Error(`${name}: ${sidecars[name].output()}`, { cause: error });
    }
  }

  beforeAll(async () => {
    directory = new TemporaryDirectory();
    await chmod(directory.path, 0o755);
    network = new PodNetwork();
    web = network.add('web', 2);
    reviews = network.add('reviews', 3);
    outside = network.add('outside', 4);
    six = network.add('six', 5, { ipv4: false });
    await directory.write('manifests/mesh.yaml', mesh('Strict'));
    await directory.write(
      'manifests/shop.yaml',
      [
        pod('web', web.address, web.address6),
        pod('reviews', reviews.address, reviews.address6),
        pod('six', six.address6),
        service('reviews', virtualAddress, 80, 'http', http),
        slice('reviews', reviews.address, http),
        service('store', 'None', greeting, 'tcp', greeting),
        slice('store', reviews.address, greeting),
        service('queue', '10.204.0.11', greeting, 'tcp', greeting),
        slice('queue', reviews.address, greeting),
        service('reviews6', virtualAddress6, 80, 'http', http),
        slice('reviews6', reviews.address6, http),
        service('queue6', 'fd78:0:0::11', greeting, 'tcp', greeting),
        slice('queue6', reviews.address6, greeting),
        service('six', 'fd78::12', 80, 'http', http, 'six'),
        slice('six', six.address6, http, 'six-0'),
        route,
      ].join('\n'),
    );
    await directory.write('token-key.pem', keys.publicKeyPem);
    network.node.start(cli, [
      ...[
        'controller',
        '--manifests',
        join(directory.path, 'manifests'),
        '--state',
        join(directory.path, 'controller'),
      ],
      ...['--listen', ':15010', '--token-key', join(directory.path, 'token-key.pem')],
      ...['--write-bundle', join(directory.path, 'bundle.pem')],
    ]);
    outside.start(fixture('application'), [http, greeting, echo].map(String));
    wire = network.node.start(fixture('wiretap'), []);
    await eventually(() => wire.output().includes('listening'), 10_000);
    await eventually(() => readFile(join(directory.path, 'bundle.pem')).catch(() => undefined), 20_000);
    await Promise.all([
      startSidecar('web', web),
      startSidecar('reviews', reviews),
      startSidecar('six', six, six.address6),
    ]);
    await Promise.all([ready('web', web), ready('reviews', reviews), ready('six', six)]);
  }, 90_000);

  afterAll(async () => {
    await network?.remove();
    directory?.[Symbol.dispose]();
  }, 30_000);

  it('routes what goes to a virtual address, over mutual TLS', async () => {
    const reply = await get(web, virtualAddress, 80, { 'x-secret': 'open-sesame' });
    expect(reply).toMatchObject({ status: 200, body: `GET / of ${virtualAddress}` });
    expect(reply.headers['x-caller']).toBe('URI=spiffe://shop.local/ns/shop/sa/web');
    expect(reply.headers['x-routed']).toBe('yes');
    await get(web, outside.address, http, { 'x-secret': 'sim-salabim' });
    // What is plain is seen on the wire, so what is not seen was not plain.
    await eventually(() => wire.output().includes('sim-salabim'));
    expect(wire.output()).not.toContain('open-sesame');
  });

  it('knows a service by its address, whatever host a request names', async () => {
    const reply = await get(web, virtualAddress, 80, { host: 'elsewhere.example' });
    expect(reply).toMatchObject({ status: 200, body: 'GET / of elsewhere.example' });
    expect(reply.headers['x-routed']).toBe('yes');
  });

  it('reaches the very endpoint that is addressed, over mutual TLS and without routes', async () => {
    const reply = await get(web, reviews.address, http, { 'x-secret': 'hocus-pocus' });
    expect(reply.status).toBe(200);
    expect(reply.headers['x-caller']).toBe('URI=spiffe://shop.local/ns/shop/sa/web');
    expect(reply.headers['x-routed']).toBeUndefined();
    expect(wire.output()).not.toContain('hocus-pocus');
    const entry = { service: 'shop/reviews', mtls: true, upstream: `${reviews.address}:${http}`, path: '/direct' };
    await get(web, reviews.address, http, {}, '/direct');
    await eventually(() => logOf('web').some((logged) => Object.entries(entry).every(([k, v]) => logged[k] === v)));
  });

  it('lets a server speak first, behind a virtual address and as one of a headless service', async () => {
    for (const address of ['10.204.0.11', reviews.address]) {
      const { heard, ended, milliseconds } = await talk(web, address, greeting, 'psst');
      expect([heard, ended]).toEqual(['READY\npsst', 'satisfied']);
      // Nobody waits for anybody to say something: what takes time is the handshake.
      expect(milliseconds).toBeLessThan(250);
    }
    const mtls = () => logOf('reviews').filter(({ method, source }) => method === 'TCP' && source === 'shop/web');
    await eventually(() => mtls().length === 2);
    expect(mtls().every(({ mtls }) => mtls)).toBe(true);
    expect(wire.output()).not.toContain('psst');
  });

  it('passes through what is not of the mesh, in IPv4 and IPv6, also where the server speaks first', async () => {
    for (const address of [outside.address, outside.address6]) {
      expect(await get(web, address)).toMatchObject({ status: 200, headers: { 'x-caller': 'undefined' } });
      const { heard, milliseconds } = await talk(web, address, greeting);
      expect(heard).toBe('READY\n');
      expect(milliseconds).toBeLessThan(250);
    }
    expect(await passedThrough()).toBeGreaterThanOrEqual(4);
    const metrics = (await get(web, '127.0.0.1', admin, {}, '/metrics')).body;
    expect(metrics).not.toContain(outside.address);
  });

  it('passes a port through that a service does not have', async () => {
    const before = await passedThrough();
    const { heard, ended } = await talk(web, virtualAddress, 81, 'anybody?');
    expect([heard, ended]).not.toContain('satisfied');
    expect(await passedThrough()).toBe(before + 1);
  });

  it('leaves alone what stays within the pod', async () => {
    const before = logOf('reviews').length;
    for (const address of ['127.0.0.1', reviews.address, '::1', reviews.address6]) {
      expect(await get(reviews, address)).toMatchObject({ status: 200, headers: { 'x-caller': 'undefined' } });
    }
    expect(logOf('reviews').length).toBe(before);
  });

  it('has a pod reach itself through its own service', async () => {
    const reply = await get(reviews, virtualAddress, 80);
    expect(reply).toMatchObject({ status: 200, headers: { 'x-routed': 'yes' } });
    expect((await talk(reviews, '10.204.0.11', greeting)).heard).toBe('READY\n');
  });

  it('does all of that in IPv6', async () => {
    const caller = (name: string) => `URI=spiffe://shop.local/ns/shop/sa/${name}`;
    const routed = await get(web, virtualAddress6, 80, { 'x-secret': 'abracadabra' });
    expect(routed).toMatchObject({ status: 200, body: `GET / of [${virtualAddress6}]` });
    expect(routed.headers['x-caller']).toBe(caller('web'));
    const direct = await get(web, reviews.address6, http, { 'x-secret': 'alakazam' });
    expect(direct.headers['x-caller']).toBe(caller('web'));
    for (const address of ['fd78::11', reviews.address6]) {
      expect((await talk(web, address, greeting, 'pssst')).heard).toBe('READY\npssst');
    }
    // Its own service, by an address that is not the one that it is told.
    expect(await get(reviews, virtualAddress6, 80)).toMatchObject({ status: 200 });
    expect((await get(outside, reviews.address6)).status).toBe(0);
    const logged = { service: 'shop/reviews6', upstream: `[${reviews.address6}]:${http}`, mtls: true };
    await eventually(() => logOf('web').some((entry) => Object.entries(logged).every(([k, v]) => entry[k] === v)));
    for (const secret of ['abracadabra', 'alakazam', 'pssst']) expect(wire.output()).not.toContain(secret);
  });

  it('needs no IPv4: a pod without it is called, calls others and itself, and is probed', async () => {
    const headers = { 'x-caller': 'URI=spiffe://shop.local/ns/shop/sa/web' };
    expect(await get(web, 'fd78::12', 80)).toMatchObject({ status: 200, headers });
    expect(await get(web, six.address6)).toMatchObject({ status: 200, headers });
    expect((await get(six, virtualAddress6, 80)).headers['x-caller']).toBe('URI=spiffe://shop.local/ns/shop/sa/six');
    expect(await get(six, 'fd78::12', 80)).toMatchObject({ status: 200 });
    expect((await get(outside, six.address6)).status).toBe(0);
    expect((await get(outside, six.address6, admin, {}, '/probe/app/readiness')).body).toBe('healthy\n');
    expect((await get(outside, six.address6, admin, {}, '/config')).status).toBe(403);
    expect((await get(six, six.address6, admin, {}, '/config')).status).toBe(200);
  });

  it('reaches a port of a pod that no service has, over mutual TLS', async () => {
    for (const address of [reviews.address, reviews.address6]) {
      expect((await talk(web, address, echo, 'bibbidi-bobbidi')).heard).toBe('bibbidi-bobbidi');
    }
    expect(wire.output()).not.toContain('bibbidi-bobbidi');
    const metrics = await get(web, reviews.address, admin, {}, '/metrics');
    expect(metrics.status).toBe(200);
  });

  it('refuses plain text from outside the mesh where mutual TLS is demanded', async () => {
    expect((await get(outside, reviews.address)).status).toBe(0);
    const { heard, ended, milliseconds } = await talk(outside, reviews.address, greeting, 'plain');
    expect(heard).toBe('');
    expect(['closed', 'ECONNRESET']).toContain(ended);
    expect(milliseconds).toBeLessThan(1000);
    expect((await talk(outside, reviews.address, echo, 'plain')).heard).toBe('');
  });

  it('has the application probed by who may not call it, and tells others no more than health and metrics', async () => {
    const ask = async (from: NetworkPod, path: string) => {
      const { status, body } = await get(from, reviews.address, admin, {}, path);
      return [status, body.split('\n')[0]];
    };
    expect(await ask(outside, '/probe/app/readiness')).toEqual([200, 'healthy']);
    expect(await ask(outside, '/ready')).toEqual([200, 'ready']);
    expect((await ask(outside, '/metrics'))[0]).toBe(200);
    for (const from of [outside, web]) {
      expect(await ask(from, '/config')).toEqual([403, 'only for who is in the pod']);
    }
    expect((await ask(reviews, '/config'))[0]).toBe(200);
  });

  it('takes plain text besides mutual TLS once that is allowed', async () => {
    await directory.write('manifests/mesh.yaml', mesh('Permissive'));
    await eventually(async () => (await get(outside, reviews.address)).status === 200, 15_000);
    expect((await get(outside, reviews.address)).headers['x-caller']).toBe('undefined');
    expect((await get(outside, reviews.address6)).status).toBe(200);
    expect((await get(web, reviews.address)).headers['x-caller']).toBe('URI=spiffe://shop.local/ns/shop/sa/web');
    // Who waits for the server's words waits for a moment only, and who speaks not at all.
    const waiting = await talk(outside, reviews.address, greeting);
    expect(waiting.heard).toBe('READY\n');
    expect(waiting.milliseconds).toBeLessThan(1000);
    const speaking = await talk(outside, reviews.address, echo, 'undeclared');
    expect([speaking.heard, speaking.milliseconds < 250]).toEqual(['undeclared', true]);
    expect((await talk(web, reviews.address, greeting)).heard).toBe('READY\n');
  });

  it('takes no connection that was not redirected: there is no loop', async () => {
    const streams = async () => [await opened(web), await opened(reviews)];
    const before = await streams();
    for (const [from, address, port] of [
      [outside, reviews.address, 15006],
      [outside, reviews.address6, 15006],
      [web, '127.0.0.1', 15001],
      [web, '::1', 15001],
      [reviews, reviews.address, 15006],
    ] as const) {
      const { heard, ended } = await talk(from, address, port, 'GET / HTTP/1.1\r\n\r\n');
      expect(heard).toBe('');
      expect(['closed', 'ECONNRESET', 'EPIPE']).toContain(ended);
    }
    expect((await talk(outside, reviews.address, 15001)).ended).toBe('ECONNREFUSED');
    expect(await streams()).toEqual(before);
  });

  it('ends a proxy whose own connections would come back to it, and says why', async () => {
    outside.run(process.execPath, cli, 'redirect');
    const env = { MESHWRIGHT_BOOTSTRAP: JSON.stringify(bootstrapOf('outside', outside)) };
    const sidecar = outside.start(cli, ['sidecar'], { env });
    await once(sidecar.process, 'close');
    expect(sidecar.process.exitCode).toBe(1);
    expect(sidecar.output()).toContain("this proxy's own connections are redirected to it: it runs as user 0");
  });

  it('sets its rules anew as often as it is asked to, and only its own', async () => {
    const rules = (): string => outside.run('nft', 'list', 'ruleset');
    outside.run('nft', 'add', 'table', 'inet', 'other');
    outside.run(process.execPath, cli, 'redirect', '--skip-outbound-cidrs', '0.0.0.0/0,10.0.0.0/8,::/0');
    const before = rules();
    outside.run(process.execPath, cli, 'redirect', '--skip-outbound-cidrs', '0.0.0.0/0,10.0.0.0/8,::/0');
    expect(rules()).toBe(before);
    expect(before).toContain('table inet other');
    expect(before).toContain('ip daddr 10.0.0.0/8 accept');
    // There is no proxy here, yet what is left out is reached.
    expect((await get(outside, reviews.address)).status).toBe(200);
  });
});
