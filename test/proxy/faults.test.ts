import { execFile } from 'node:child_process';
import { createServer } from 'node:tls';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from '@jest/globals';
import { closeAll, createAuthority, send, startApp, startPairTo, startServer, svidOf } from './mesh.ts';
import { endpointsOf, identityOf } from './resources.ts';

afterEach(closeAll);

describe('a fault', () => {
  it('of ours costs the connection it happens on, and nothing else', async () => {
    const { client, outbound } = await startPairTo(await startApp((_request, response) => response.end('in')));
    client.log.log = () => {
      throw new Error('a defect');
    };
    await send(outbound).catch(() => {});
    client.log.log = () => {};
    expect((await send(outbound)).status).toBe(200);
  });

  it('in the configuration of an endpoint is an answer, not the end', async () => {
    const { client, outbound } = await startPairTo(await startApp((_request, response) => response.end('in')));
    client.proxy.apply([endpointsOf('reviews', 9080, [{ port: 70_000 }])], 'endpoints', []);
    const reply = await send(outbound);
    expect([reply.status, reply.body.toString()]).toEqual([503, expect.stringContaining('70000')]);
  });

  it('of the network that nobody told is noticed, and requests go over another connection', async () => {
    const { outbound, wire } = await startPairTo(await startApp((_request, response) => response.end('in')), {
      limits: { peerKeepalive: { interval: 200, timeout: 1000 } },
    });
    expect((await send(outbound)).status).toBe(200);
    wire.freeze();
    expect((await send(outbound)).status).toBe(200);
  });

  it('of the environment does not make a stranger a peer', async () => {
    const [authority, stranger] = [await createAuthority(), await createAuthority()];
    const [ours, theirs] = [await svidOf(authority, 'web'), await svidOf(stranger, 'reviews')];
    const server = createServer({ key: theirs.key, cert: theirs.certChainPem, minVersion: 'TLSv1.3' });
    server.on('tlsClientError', () => {});
    const port = await startServer(server);
    const program = `
      import { clientSecureContext, connect } from './runtime/net/index.ts';
      import { systemClock } from './runtime/model/index.ts';
      const identity = ${JSON.stringify({ key: ours.key, certificateChain: ours.certChainPem, bundle: ours.bundlePem })};
      connect({
        host: '127.0.0.1', port: ${port}, timeout: 5000, clock: systemClock,
        peer: {
          context: clientSecureContext(identity), identity: '${identityOf('reviews')}',
          verify: (names) => names.replace('URI:', ''), alpn: 'h2',
        },
      }, (error) => { console.log(error ? 'refused' : 'accepted'); process.exit(); });
    `;
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
      env: { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: '0' },
    });
    expect((await run).stdout).toBe('refused\n');
  });
});
