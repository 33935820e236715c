import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { closeAll, send, startApp, startPairTo } from './mesh.ts';
import { identityOf } from './resources.ts';

afterEach(closeAll);

const startPair = async (app: (request: IncomingMessage, response: ServerResponse) => void) =>
  startPairTo(await startApp(app));

describe('a pair of sidecars', () => {
  it('carries a request and its response over mutual TLS', async () => {
    const { outbound, wire, server, client } = await startPair((request, response) => {
      response.setHeader('x-seen-by', String(request.headers['x-forwarded-client-cert']));
      response.end(`hello ${request.method} ${request.url}`);
    });
    const reply = await send(outbound, { path: '/a?b=c', headers: { 'x-secret': 'open-sesame' } });
    expect(reply.status).toBe(200);
    expect(reply.body.toString()).toBe('hello GET /a?b=c');
    expect(reply.headers['x-seen-by']).toBe(`URI=${identityOf('web')}`);
    const bytes = wire.bytes();
    expect(bytes[0]).toBe(22);
    expect(bytes.length).toBeGreaterThan(500);
    expect(bytes.includes('open-sesame')).toBe(false);
    expect(bytes.includes('hello')).toBe(false);
    expect(client.log.entries).toMatchObject([
      { direction: 'outbound', status: 200, service: 'shop/reviews', mtls: true, path: '/a' },
    ]);
    expect(server.log.entries).toMatchObject([
      { direction: 'inbound', status: 200, source: identityOf('web'), mtls: true },
    ]);
  });

  it('lets no caller pretend to be another, in any spelling', async () => {
    const { outbound } = await startPair((request, response) => response.end(JSON.stringify(request.headers)));
    const forged = {
      'x-forwarded-client-cert': 'URI=a',
      'X_Forwarded-Client_Cert': 'URI=b',
      x_forwarded_client_cert: 'c',
    };
    const seen = JSON.parse((await send(outbound, { headers: forged })).body.toString());
    expect(Object.entries(seen).filter(([name]) => /client.cert/.test(name))).toEqual([
      ['x-forwarded-client-cert', `URI=${identityOf('web')}`],
    ]);
  });

  it('streams large bodies both ways unchanged', async () => {
    const { outbound } = await startPair((request, response) => {
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      request.pipe(response);
    });
    const body = Buffer.alloc(5_000_000, 'meshwright');
    const reply = await send(outbound, { method: 'POST', path: '/echo', body });
    expect(reply.status).toBe(200);
    expect(reply.body.equals(body)).toBe(true);
  });

  it('routes what an HTTP proxy is asked for, by host name', async () => {
    const { proxyPort } = await startPair((request, response) => response.end(`for ${request.headers.host}`));
    const short = await send(proxyPort, { path: 'http://reviews:9080/x', headers: { host: 'reviews:9080' } });
    expect([short.status, short.body.toString()]).toEqual([200, 'for reviews:9080']);
    const unknown = await send(proxyPort, { path: 'http://nobody:9080/x', headers: { host: 'nobody:9080' } });
    expect(unknown.status).toBe(502);
    expect(unknown.headers['proxy-status']).toContain('error=destination_not_found');
  });

  it.each([
    ['without an answer', false],
    ['amid a stream of events', true],
  ])('cancels the request of a caller that closes, up to the application, %s', async (_, begun) => {
    const waiting: ServerResponse[] = [];
    const { outbound, client, server } = await startPair((_request, response) => {
      waiting.push(response);
      if (begun) response.write('event: 1\n\n');
    });
    const caller = connect(outbound, '127.0.0.1').on('error', () => {});
    caller.write('GET /events HTTP/1.1\r\nhost: reviews\r\n\r\n');
    await eventually(() => waiting.length === 1);
    if (begun) await new Promise((resolve) => caller.once('data', resolve));
    caller.end();
    await eventually(() => waiting[0].destroyed);
    await eventually(() => client.log.entries.length === 1 && server.log.entries.length === 1);
    expect(client.log.entries[0].error).toContain('the caller broke off');
    expect(server.log.entries[0].error).toContain('the caller broke off');
  });
});
