import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Protocol, Workload } from '../../runtime/model/index.ts';
import { closeAll, closeLater, createAuthority, freePort, startApp, startProxy, svidOf } from '../proxy/mesh.ts';
import { endpointsOf, forwardTo, service } from '../proxy/resources.ts';
import { startCertificateLender } from '../support/certificate-lender.ts';
import { buildH2spec, runH2spec } from './h2spec.ts';

let program: string;

beforeAll(async () => {
  program = await buildH2spec();
});

afterEach(closeAll);

const startReviews = () =>
  startApp((request, response) => {
    request.resume();
    request.on('end', () => response.end('reviewed'));
  });

async function startHttp2Reviews(): Promise<number> {
  const server = createHttp2Server();
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => sessions.add(session));
  server.on('request', (request, response) => {
    request.on('error', () => {});
    response.stream?.on('error', () => {});
    request.resume();
    request.on('end', () => response.end('reviewed'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closeLater(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** The inbound listener of a workload. Peers speak HTTP/2 to it, whatever its application does; others only if that does. */
async function startInbound(mtls: Workload['mtls'], protocol: Protocol) {
  const authority = await createAuthority();
  const inbound = await freePort();
  const app = await (protocol === 'http' ? startReviews() : startHttp2Reviews());
  await startProxy({
    serviceAccount: 'reviews',
    svid: await svidOf(authority, 'reviews'),
    ports: [{ port: 9080, protocol }],
    mtls,
    bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 9080, app: `127.0.0.1:${app}` }] },
  });
  return { authority, inbound };
}

async function expectConformance(name: string, port: number, fieldLength?: number): Promise<void> {
  const report = await runH2spec(program, port, fieldLength);
  const { passed, skipped, failed } = report;
  process.stdout.write(`h2spec, ${name}: ${passed} passed, ${skipped} skipped, ${failed} failed\n`);
  expect(report).toEqual({ passed: 146, skipped: 0, failed: 0, failures: '' });
}

test('the inbound listener conforms, over mutual TLS', async () => {
  const { authority, inbound } = await startInbound('strict', 'http');
  const lender = await startCertificateLender(inbound, await svidOf(authority, 'web'));
  closeLater(() => lender.close());
  // Peers may send frames of 64 KiB.
  await expectConformance('inbound, mutual TLS', lender.port, 16_000);
});

test('the inbound listener conforms, to callers without a certificate where they are allowed', async () => {
  const { inbound } = await startInbound('permissive', 'http2');
  await expectConformance('inbound, plain text', inbound);
});

test('the outbound listener conforms, to an application that speaks HTTP/2', async () => {
  const outbound = await freePort();
  await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(await createAuthority(), 'web'),
    resources: [service('legacy', 80, 'http2'), endpointsOf('legacy', 80, [{ port: await startHttp2Reviews() }])],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/legacy', port: 80 }] } },
  });
  await expectConformance('outbound', outbound);
});

test('the gateway conforms, to clients that speak HTTP/2 from the first byte', async () => {
  const listen = await freePort();
  await startProxy({
    serviceAccount: 'gateway',
    svid: await svidOf(await createAuthority(), 'gateway'),
    gateway: 'shop/shop',
    resources: [
      service('web', 8080, 'http'),
      endpointsOf('web', 8080, [{ port: await startReviews() }]),
      {
        kind: 'gateway',
        name: 'shop/shop',
        listeners: [
          {
            name: 'http',
            port: 80,
            protocol: 'http',
            virtualHosts: [{ hostnames: ['*'], rules: [forwardTo('shop/web', 8080)] }],
          },
        ],
      },
    ],
    bootstrap: { gateway: [{ listen: `127.0.0.1:${listen}`, port: 80 }] },
  });
  await expectConformance('gateway', listen);
});
