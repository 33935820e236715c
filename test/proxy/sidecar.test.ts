import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Controller, startFileController } from '../../runtime/controller/index.ts';
import { CertificateAuthority, createTokenKeys, issueWorkloadToken } from '../../runtime/identity/authority.ts';
import { systemClock } from '../../runtime/model/index.ts';
import { type Bootstrap, runSidecar, type Sidecar } from '../../runtime/proxy/index.ts';
import { eventually } from '../support/eventually.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { closeAll, freePort, type Reply, readAll, readUntil, send, startApp } from './mesh.ts';

const silent = { info() {}, warn() {} };
const keys = createTokenKeys();

let manifests: TemporaryDirectory;
let state: TemporaryDirectory;
const sidecars: Sidecar[] = [];
const controllers: Controller[] = [];

beforeEach(() => {
  manifests = new TemporaryDirectory();
  state = new TemporaryDirectory();
});

afterEach(async () => {
  for (const sidecar of sidecars.splice(0)) await sidecar.close();
  for (const controller of controllers.splice(0)) await controller.close();
  await closeAll();
  manifests[Symbol.dispose]();
  state[Symbol.dispose]();
});

const workload = (name: string, calls: string, podPort: number): string => `
apiVersion: v1
kind: ServiceAccount
metadata: { name: ${name}, namespace: shop }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: shop }
spec:
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata:
      labels: { app: ${name}, meshwright.dev/inject: enabled, meshwright.dev/workload: ${name} }
      annotations: { meshwright.dev/calls: '${calls}' }
    spec: { serviceAccountName: ${name}, containers: [{ name: app, ports: [{ containerPort: 80 }] }] }
---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec: { selector: { app: ${name} }, ports: [{ port: 80, appProtocol: http }] }
---
apiVersion: v1
kind: Pod
metadata:
  name: ${name}-0
  namespace: shop
  labels: { app: ${name}, meshwright.dev/proxy: sidecar, meshwright.dev/workload: ${name} }
spec: { serviceAccountName: ${name}, containers: [{ name: app, ports: [{ containerPort: 80 }] }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-0, namespace: shop, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
ports: [{ port: ${podPort} }]
endpoints:
  - addresses: [127.0.0.1]
    conditions: { ready: true }
    targetRef: { kind: Pod, name: ${name}-0, namespace: shop }
`;

/** A route that is seen by a header of its responses. */
const marked = (mark: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: reviews, namespace: shop }
spec:
  parentRefs: [{ group: '', kind: Service, name: reviews }]
  rules:
    - backendRefs: [{ name: reviews, port: 80 }]
      filters:
        - type: ResponseHeaderModifier
          responseHeaderModifier: { set: [{ name: x-mark, value: ${mark} }] }
`;

async function control(listen = '127.0.0.1:0'): Promise<Controller> {
  const controller = await startFileController({
    manifests: [manifests.path],
    listen,
    stateDirectory: join(state.path, 'controller'),
    tokenPublicKeyPem: keys.publicKeyPem,
    logger: silent,
  });
  controllers.push(controller);
  return controller;
}

async function sidecar(controller: Controller, name: string, more: Partial<Bootstrap>): Promise<Sidecar> {
  const tokenFile = join(state.path, `${name}.token`);
  const claims = { namespace: 'shop', serviceAccount: name, pod: `${name}-0` };
  await writeFile(
    tokenFile,
    await issueWorkloadToken(claims, { privateKeyPem: keys.privateKeyPem, ttl: 3_600_000, clock: systemClock }),
  );
  const running = await runSidecar(
    {
      id: `${name}-0.shop`,
      namespace: 'shop',
      serviceAccount: name,
      workload: `shop/${name}`,
      trustDomain: controller.trustDomain,
      controller: { address: controller.address, bundle: controller.bundlePem },
      tokenFile,
      inbound: [],
      outbound: { services: [] },
      gateway: [],
      admin: `127.0.0.1:${await freePort()}`,
      stateDir: join(state.path, name),
      ...more,
    },
    { logger: silent },
  );
  sidecars.push(running);
  return running;
}

/** web calls reviews, each with its sidecar, all from manifests. */
async function startMesh() {
  const app = await startApp((_request, response) => response.end('reviewed'));
  const [inbound, outbound, webAdmin] = [await freePort(), await freePort(), await freePort()];
  await manifests.write('reviews.yaml', workload('reviews', '', inbound));
  await manifests.write('web.yaml', workload('web', 'shop/reviews', await freePort()));
  const controller = await control();
  const reviews = { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 80, app: `127.0.0.1:${app}` }] };
  const web = {
    admin: `127.0.0.1:${webAdmin}`,
    outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 80 }] },
  };
  // In this order, since a test ends the one that started last.
  const running = [await sidecar(controller, 'reviews', reviews), await sidecar(controller, 'web', web)];
  await Promise.all(running.map(({ ready }) => ready));
  return { controller, outbound, webAdmin, web, reviews };
}

const text = ({ status, body }: Reply): string => `${status} ${body}`;

describe('a sidecar', () => {
  it('gets its certificate and its configuration from the controller, and then takes traffic', async () => {
    const { outbound, webAdmin } = await startMesh();
    expect(text(await send(outbound))).toBe('200 reviewed');
    expect(text(await send(webAdmin, { path: '/ready' }))).toBe('200 ready\n');
    expect(text(await send(webAdmin, { path: '/live' }))).toBe('200 live\n');
    const metrics = (await send(webAdmin, { path: '/metrics' })).body.toString();
    expect(metrics).toContain('meshwright_discovery_connected 1');
    expect(metrics).toMatch(
      /http_client_request_duration_seconds_count\{source="shop\/web",service="shop\/reviews".* 1\n/,
    );
    const config = (await send(webAdmin, { path: '/config' })).body.toString();
    expect(config).toContain('"shop/reviews"');
    expect(config).not.toContain('PRIVATE KEY');
  });

  it('tells web pages nothing, whatever name they give it', async () => {
    const { webAdmin } = await startMesh();
    const origin = { origin: 'https://evil.example' };
    expect((await send(webAdmin, { method: 'POST', path: '/quit', headers: origin })).status).toBe(403);
    expect((await send(webAdmin, { path: '/config', headers: { host: 'rebound.example:15020' } })).status).toBe(403);
    expect((await send(webAdmin, { path: '/live', headers: { host: 'localhost' } })).status).toBe(200);
  });

  it('leaves no connection open when it ends, so that its process can', async () => {
    const { webAdmin } = await startMesh();
    const scraper = connect(webAdmin, '127.0.0.1');
    const closed = readAll(scraper);
    scraper.write('GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await readUntil(scraper, 'live\n');
    await sidecars.pop()!.close();
    await closed;
  });

  it('starts with saved configuration that it does not understand', async () => {
    const { controller, web } = await startMesh();
    await sidecars.pop()!.close();
    const saved = join(state.path, 'web', 'resources.json');
    await writeFile(saved, JSON.stringify([null, { kind: 'of the future', name: 'shop/x' }]));
    await (await sidecar(controller, 'web', web)).ready;
  });

  it('follows a change of the manifests without losing its connections', async () => {
    const { outbound } = await startMesh();
    await manifests.write('route.yaml', marked('second'));
    await eventually(async () => (await send(outbound)).headers['x-mark'] === 'second');
  });

  it('goes on while the controller is gone, also after a restart, and follows it again when it is back', async () => {
    const { controller, outbound, web } = await startMesh();
    await send(outbound);
    await controllers.splice(0)[0].close();
    expect(text(await send(outbound))).toBe('200 reviewed');

    await sidecars.pop()!.close();
    const restarted = await sidecar(controller, 'web', web);
    await restarted.ready;
    expect(text(await send(outbound))).toBe('200 reviewed');

    await control(controller.address);
    await manifests.write('route.yaml', marked('second'));
    await eventually(async () => (await send(outbound)).headers['x-mark'] === 'second');
  });

  it('says why it is not ready while it waits for the controller', async () => {
    const trustDomain = 'shop.local';
    const { bundlePem } = await CertificateAuthority.create({ trustDomain, clock: systemClock });
    const controller = { address: `127.0.0.1:${await freePort()}`, bundlePem, trustDomain };
    const admin = await freePort();
    await sidecar(controller as Controller, 'web', { admin: `127.0.0.1:${admin}` });
    const ready = async () => text(await send(admin, { path: '/ready' }));
    await eventually(async () => (await ready()).includes('MW1620'));
    expect(await ready()).toContain(
      `503 there is no certificate yet: error MW1620: the controller at ${controller.address} does not answer: `,
    );
  });
});
