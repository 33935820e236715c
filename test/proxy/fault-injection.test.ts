import { type ClientHttp2Session, connect } from 'node:http2';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Fault, HttpRule, Protocol, Service } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { closeAll, closeLater, send, startApp, startPairTo } from './mesh.ts';
import { endpointsOf, forwardTo, identityOf, service } from './resources.ts';

afterEach(closeAll);

const policy = { kind: 'FaultPolicy', namespace: 'shop', name: 'trouble' };
const down: Fault = { name: 'down', headers: [], percent: 100, abort: { kind: 'http', status: 503 } };

/** The Service with faults on its port. */
function faulty(of: Service, ...faults: Fault[]): Service {
  return { ...of, ports: of.ports.map((port) => ({ ...port, faults: [{ policy, faults }] })) };
}

/** `web` calls `reviews`, the port of which has faults. */
async function startFaulty(faults: Fault[], options: { protocol?: Protocol; rules?: HttpRule[] } = {}) {
  const { protocol = 'http', rules = [] } = options;
  let reached = 0;
  const app = await startApp((_request, response) => {
    reached++;
    response.end('reviewed');
  });
  const pair = await startPairTo(app, { protocol, rules });
  const reviews = service('reviews', 9080, protocol, rules);
  expect(pair.client.proxy.apply([faulty(reviews, ...faults)], 'service', [])).toEqual([]);
  return { ...pair, reviews, reached: () => reached };
}

function sessionTo(port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`);
  closeLater(() => session.destroy());
  return session;
}

describe('a fault', () => {
  it('answers in place of the service where a header asks for it', async () => {
    const asked = { ...down, headers: [{ name: 'x-fault', value: { kind: 'exact', value: 'down' } }] } as Fault;
    const { outbound, client, reached } = await startFaulty([asked]);
    expect((await send(outbound)).status).toBe(200);
    const { status, headers } = await send(outbound, { method: 'POST', headers: { 'X-Fault': 'down' }, body: 'lost' });
    expect(status).toBe(503);
    const reason = 'fault down of FaultPolicy shop/trouble: answered 503';
    expect(headers['proxy-status']).toBe(`meshwright; error=proxy_internal_response; details="${reason}"`);
    expect(reached()).toBe(1);
    expect(client.log.entries[1]).toMatchObject({ status: 503, service: 'shop/reviews', fault: reason });
    expect(client.log.entries[1].upstream).toBeUndefined();
    expect(client.log.entries[0].fault).toBeUndefined();
    expect(client.metrics.registry.expose()).toContain(
      'meshwright_faults_injected_total{policy="FaultPolicy shop/trouble",fault="down"} 1',
    );
  });

  it('is over when its policy is', async () => {
    const { outbound, client, reviews } = await startFaulty([down]);
    expect((await send(outbound)).status).toBe(503);
    client.proxy.apply([reviews], 'service', []);
    expect((await send(outbound)).status).toBe(200);
  });

  it('delays, and the answer is the service’s own', async () => {
    const { outbound, client } = await startFaulty([{ ...down, name: 'slow', abort: undefined, delay: 120 }]);
    const started = performance.now();
    const { status, body } = await send(outbound);
    expect([status, String(body)]).toEqual([200, 'reviewed']);
    expect(performance.now() - started).toBeGreaterThan(119);
    expect(client.log.entries[0]).toMatchObject({
      status: 200,
      fault: 'fault slow of FaultPolicy shop/trouble: 120 ms late',
    });
    expect(client.log.entries[0].upstream).toBeDefined();
  });

  it('runs into the time limit of the rule', async () => {
    const rules = [forwardTo('shop/reviews', 9080, { timeouts: { request: 60 } })];
    const { outbound, reached } = await startFaulty([{ ...down, delay: 60_000 }], { rules });
    expect((await send(outbound)).status).toBe(504);
    expect(reached()).toBe(0);
  });

  it('is retried as the rule says, each try anew', async () => {
    const rules = [forwardTo('shop/reviews', 9080, { retry: { attempts: 2, codes: [503], backoff: 0 } })];
    const { outbound, client } = await startFaulty([down], { rules });
    expect((await send(outbound)).status).toBe(503);
    expect(client.log.entries[0].retries).toBe(2);
    expect(client.metrics.registry.expose()).toContain('fault="down"} 3');
  });

  it('holds for a service that a route leads to', async () => {
    const rules = [forwardTo('shop/reviews-v2', 9080)];
    const { outbound, client, wire } = await startFaulty([], { rules });
    const endpoints = endpointsOf('reviews-v2', 9080, [{ port: wire.port, identity: identityOf('reviews') }]);
    const v2 = service('reviews-v2', 9080, 'http');
    client.proxy.apply([endpoints], 'endpoints', []);
    client.proxy.apply([v2], 'service', []);
    expect((await send(outbound)).status).toBe(200);
    client.proxy.apply([faulty(v2, down)], 'service', []);
    expect((await send(outbound)).status).toBe(503);
  });

  it('does not outlive a caller that gives up', async () => {
    const late: Fault = { ...down, abort: undefined, delay: 100 };
    const { outbound, client, server } = await startFaulty([late], { protocol: 'http2' });
    const session = sessionTo(outbound);
    const stream = session.request({ ':path': '/gone' });
    await eventually(() => client.metrics.registry.expose().includes('fault="down"} 1'));
    stream.close();
    await eventually(() => client.log.entries.length === 1);
    expect(client.log.entries[0]).toMatchObject({ error: expect.stringContaining('the caller broke off') });

    // What is delayed as long, but later, comes through when the first one would have.
    const other = session.request({ ':path': '/here' });
    await new Promise((resolve) => other.on('response', resolve));
    const arrived = server.log.entries.map(({ path }) => path);
    expect([arrived.includes('/here'), arrived.includes('/gone')]).toEqual([true, false]);
  });

  it('aborts a call with a gRPC status, as trailers only', async () => {
    const unavailable: Fault = { ...down, abort: { kind: 'grpc', status: 'UNAVAILABLE' } };
    const { outbound } = await startFaulty([unavailable], { protocol: 'grpc' });
    const stream = sessionTo(outbound).request({
      ':method': 'POST',
      ':path': '/a.B/C',
      'content-type': 'application/grpc',
    });
    const headers = await new Promise<Record<string, unknown>>((resolve, reject) => {
      stream.on('response', resolve);
      stream.on('error', reject);
      stream.end('call');
    });
    expect(headers).toMatchObject({
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': '14',
      'grpc-message': 'fault down of FaultPolicy shop/trouble: answered with gRPC status UNAVAILABLE',
    });
    await new Promise((resolve) => stream.on('end', resolve).resume());
  });
});
