import { once } from 'node:events';
import { request as startRequest } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { heldMemory } from '../../runtime/net/index.ts';
import type { ProxyLimits } from '../../runtime/proxy/index.ts';
import { createRandom } from '../engine/fixtures.ts';
import { eventually } from '../support/eventually.ts';
import { closeAll, createAuthority, freePort, send, startApp, startProxy, svidOf } from './mesh.ts';
import { endpointsOf, forwardTo, service } from './resources.ts';

afterEach(closeAll);

/** An application that keeps what it was sent; it answers `/slow` when it is told to, and `/early` before the body. */
async function startListener() {
  const heard: string[] = [];
  const slow: (() => void)[] = [];
  const cut: string[] = [];
  const port = await startApp((request, response) => {
    let body = '';
    if (request.url === '/early') response.end();
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      heard.push(`${request.url} ${body}`.trim());
      response.on('close', () => response.writableFinished || cut.push(body));
      if (request.url === '/slow') slow.push(() => response.end());
      else response.end();
    });
  });
  return { port, heard, slow, cut };
}

/** A caller of `v1` whose requests are copied to `v2`. */
async function startMirrored(percent: number, limits: Partial<ProxyLimits> = {}) {
  const [v1, v2] = [await startListener(), await startListener()];
  const port = await freePort();
  const mirrors = [{ target: { service: 'shop/v2', port: 9080 }, percent }];
  await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(await createAuthority(), 'web'),
    random: createRandom(1),
    limits,
    resources: [
      service('reviews', 9080, 'http', [forwardTo('shop/v1', 9080, { mirrors })]),
      ...['v1', 'v2'].map((name) => service(name, 9080, 'http')),
      endpointsOf('v1', 9080, [{ port: v1.port }]),
      endpointsOf('v2', 9080, [{ port: v2.port }]),
    ],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${port}`, service: 'shop/reviews', port: 9080 }] } },
  });
  return { port, v1, v2 };
}

const requests = 400;

describe('a mirror', () => {
  it.each([
    [0, 0, 0],
    [5, 5, 40],
    [25, 70, 130],
    [90, 340, 380],
    [100, requests, requests],
  ])('gets the share of %d %% that is stated', async (percent, least, most) => {
    const { port, v1, v2 } = await startMirrored(percent);
    for (let request = 0; request < requests; request++) await send(port, { path: `/${request}` });
    expect(v1.heard).toHaveLength(requests);
    // The last copies may be on their way.
    await eventually(() => v2.heard.length >= least);
    await send(port, { path: '/last' });
    expect(v2.heard.filter((each) => each !== '/last').length).toBeLessThanOrEqual(most);
    expect(new Set(v2.heard).size).toBe(v2.heard.length);
  });

  it('gets bodies up to replayBytes, and of longer ones nothing', async () => {
    const { port, v1, v2 } = await startMirrored(100, { replayBytes: 1000 });
    const bodies = ['x'.repeat(1000), 'y'.repeat(1001), 'z'.repeat(200_000), 'short'];
    for (const [index, body] of bodies.entries()) await send(port, { method: 'POST', path: `/${index}`, body });
    expect(v1.heard).toEqual(bodies.map((body, index) => `/${index} ${body}`));
    await eventually(() => v2.heard.length >= 2);
    await send(port, { path: '/last' });
    await eventually(() => v2.heard.includes('/last'));
    expect(v2.heard.toSorted()).toEqual([`/0 ${bodies[0]}`, '/3 short', '/last']);
  });

  it('gets the whole body, though the caller breaks off while the copy waits for a connection', async () => {
    const { port, v1, v2 } = await startMirrored(100, { maxHttp1Connections: 1 });
    const first = send(port, { path: '/slow' });
    await eventually(() => v1.slow.length === 1 && v2.slow.length === 1);
    v1.slow[0]();
    await first;
    const leaving = startRequest({ port, path: '/slow', method: 'POST' }).on('error', () => {});
    leaving.end('left behind');
    await eventually(() => v1.slow.length === 2);
    leaving.destroy();
    await eventually(() => v1.cut.length === 1);
    v2.slow[0]();
    expect(await eventually(() => v2.heard[1])).toBe('/slow left behind');
    v2.slow[1]();
  });

  it('costs no memory when a request was answered before its end', async () => {
    const { port, v2 } = await startMirrored(100);
    const endless = startRequest({ port, path: '/early', method: 'POST', headers: { 'content-length': '100000' } });
    endless.on('error', () => {}).write('x'.repeat(20_000));
    const [response] = await once(endless, 'response');
    response.resume();
    await eventually(() => heldMemory.bytes === 0);
    endless.destroy();
    await send(port, { path: '/last' });
    await eventually(() => v2.heard.length > 0);
    expect(v2.heard).toEqual(['/last']);
  });
});
