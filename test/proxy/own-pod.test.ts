import { connect } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { AccessPolicy, InboundPort, MtlsMode } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { selfSigned } from '../support/self-signed.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import {
  closeAll,
  createAuthority,
  freePort,
  readAll,
  readUntil,
  send,
  startApp,
  startEcho,
  startProxy,
  startServer,
  svidOf,
} from './mesh.ts';
import { endpointsOf, identityOf, service } from './resources.ts';

afterEach(closeAll);

/** The inbound stacks of two ports of one pod. */
async function startPod(mtls: MtlsMode, ports: readonly InboundPort[], access: readonly AccessPolicy[] = []) {
  const [http, tcp] = [await freePort(), await freePort()];
  const app = await startApp((_request, response) => response.end('in'));
  const echo = await startEcho('READY\n');
  const running = await startProxy({
    serviceAccount: 'reviews',
    svid: await svidOf(await createAuthority(), 'reviews'),
    mtls,
    ports,
    access,
    bootstrap: {
      inbound: [
        { listen: `127.0.0.1:${http}`, port: 9080, app: `127.0.0.1:${app}` },
        { listen: `127.0.0.1:${tcp}`, port: 6379, app: `127.0.0.1:${echo}` },
      ],
    },
  });
  return { http, tcp, running };
}

describe("a pod's own port", () => {
  it('takes plain text where that is allowed for it alone', async () => {
    const { http, tcp } = await startPod('strict', [
      { port: 9080, protocol: 'http', mtls: 'permissive' },
      { port: 6379, protocol: 'tcp' },
    ]);
    expect((await send(http)).body.toString()).toBe('in');
    const socket = connect(tcp, '127.0.0.1');
    socket.write('plain');
    expect(await readAll(socket)).toBe('');
  });

  it('takes none where that is forbidden for it alone', async () => {
    const { http } = await startPod('permissive', [{ port: 9080, protocol: 'http', mtls: 'strict' }]);
    await expect(send(http)).rejects.toThrow();
  });

  it("lets the application's own TLS through besides that of peers, where plain text is allowed", async () => {
    using directory = new TemporaryDirectory();
    const { key, certificate } = selfSigned(directory.path);
    const app = createTlsServer({ key, cert: certificate }, (socket) => {
      socket.on('error', () => {}).end('of its own');
    });
    const port = await startServer(app);
    const authority = await createAuthority();
    const [inbound, outbound] = [await freePort(), await freePort()];
    const server = await startProxy({
      serviceAccount: 'store',
      svid: await svidOf(authority, 'store'),
      mtls: 'permissive',
      ports: [{ port: 443, protocol: 'tcp' }],
      bootstrap: {
        inbound: [{ listen: `127.0.0.1:${inbound}`, port: 443, app: `127.0.0.1:${port}` }],
      },
    });
    await startProxy({
      serviceAccount: 'web',
      svid: await svidOf(authority, 'web'),
      resources: [
        service('store', 443, 'tcp'),
        endpointsOf('store', 443, [{ port: inbound, identity: identityOf('store') }]),
      ],
      bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/store', port: 443 }] } },
    });
    for (const port of [inbound, outbound]) {
      for (const ALPNProtocols of [undefined, ['h2', 'http/1.1']]) {
        const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols });
        expect(await readAll(socket)).toBe('of its own');
      }
    }
    await eventually(() => server.log.entries.length === 4);
    expect(server.log.entries.map(({ mtls }) => mtls)).toEqual([false, false, true, true]);
  });

  it('that is not declared carries TCP, by the rules that hold for all ports', async () => {
    const { tcp, running } = await startPod('permissive', []);
    const socket = connect(tcp, '127.0.0.1');
    socket.write('hello');
    expect(await readUntil(socket, 'hello')).toBe('READY\nhello');
    socket.destroy();

    const policy = { kind: 'AccessPolicy', namespace: 'shop', name: 'nobody' } as const;
    const workload = running.proxy.resources.find((each) => each.kind === 'workload')!;
    const nobody: AccessPolicy = { policy, rules: [{ name: 'all', action: 'deny', from: [], to: [] }] };
    running.proxy.apply([{ ...workload, access: [nobody] }], 'workload', []);
    const refused = connect(tcp, '127.0.0.1');
    refused.write('hello');
    expect(await readAll(refused)).toBe('');
    expect(running.metrics.registry.expose()).toContain(
      'meshwright_access_denied_total{policy="AccessPolicy shop/nobody"} 1',
    );
  });

  it('is spoken to by its newest protocol', async () => {
    const { http, running } = await startPod('permissive', [{ port: 9080, protocol: 'http2' }]);
    const workload = running.proxy.resources.find((each) => each.kind === 'workload')!;
    expect((await send(http)).headers['proxy-status']).toContain('http_protocol_error');
    running.proxy.apply([{ ...workload, ports: [{ port: 9080, protocol: 'http' }] }], 'workload', []);
    expect((await send(http)).body.toString()).toBe('in');
  });
});

describe('a port that a pod leaves out of its redirection', () => {
  it('is called in plain text, and counted so; the others of the pod are not', async () => {
    const authority = await createAuthority();
    const [left, secured, inbound] = [await freePort(), await freePort(), await freePort()];
    const [metrics, store] = [
      await startApp((_request, response) => response.end('plain')),
      await startEcho('READY\n'),
    ];
    await startProxy({
      serviceAccount: 'store',
      svid: await svidOf(authority, 'store'),
      ports: [{ port: 6379, protocol: 'tcp' }],
      bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 6379, app: `127.0.0.1:${store}` }] },
    });
    const pod = { identity: identityOf('store'), plainPorts: [metrics] };
    const client = await startProxy({
      serviceAccount: 'web',
      svid: await svidOf(authority, 'web'),
      resources: [
        service('metrics', 9100, 'http'),
        endpointsOf('metrics', 9100, [{ port: metrics, ...pod }]),
        service('store', 6379, 'tcp'),
        endpointsOf('store', 6379, [{ port: inbound, ...pod }]),
      ],
      bootstrap: {
        outbound: {
          services: [
            { listen: `127.0.0.1:${left}`, service: 'shop/metrics', port: 9100 },
            { listen: `127.0.0.1:${secured}`, service: 'shop/store', port: 6379 },
          ],
        },
      },
    });
    expect((await send(left)).body.toString()).toBe('plain');
    const socket = connect(secured, '127.0.0.1');
    expect(await readUntil(socket, 'READY\n')).toBe('READY\n');
    socket.destroy();
    const exposed = () => client.metrics.registry.expose();
    await eventually(() => /^http_client_request_duration_seconds_count\{.*mtls="false".*\} 1$/m.test(exposed()));
    expect(exposed()).toMatch(/^tcp_connections_opened_total\{.*mtls="true".*\} 1$/m);
  });
});

describe('a pod that reaches itself through a service', () => {
  it.each(['http', 'tcp'] as const)(
    'speaks to its application without TLS, which it would not understand (%s)',
    async (protocol) => {
      const app =
        protocol === 'http' ? await startApp((_request, response) => response.end('me')) : await startEcho('me\n');
      const [outbound, inbound, sending] = [await freePort(), await freePort(), await freePort()];
      const { metrics } = await startProxy({
        serviceAccount: 'reviews',
        svid: await svidOf(await createAuthority(), 'reviews'),
        resources: [
          service('reviews', 80, protocol),
          endpointsOf('reviews', 80, [{ port: app, identity: identityOf('reviews') }]),
        ],
        bootstrap: {
          transparent: { inbound: `127.0.0.1:${inbound}`, outbound: `127.0.0.1:${sending}`, podIp: '127.0.0.1' },
          outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 80 }] },
        },
      });
      if (protocol === 'http') expect((await send(outbound)).body.toString()).toBe('me');
      else {
        const socket = connect(outbound, '127.0.0.1');
        expect(await readUntil(socket, 'me\n')).toBe('me\n');
        socket.destroy();
      }
      const series =
        protocol === 'http' ? 'http_client_request_duration_seconds_count' : 'tcp_connections_opened_total';
      // Nothing leaves the pod, so that nobody need worry.
      const line = new RegExp(`^${series}\\{.*mtls="true".*\\} 1$`, 'm');
      await eventually(() => line.test(metrics.registry.expose()));
    },
  );
});
