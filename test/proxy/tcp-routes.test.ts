import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Service, TcpRoute } from '../../runtime/model/index.ts';
import { closeAll, createAuthority, freePort, readUntil, startEcho, startProxy, svidOf } from './mesh.ts';
import { endpointsOf, service } from './resources.ts';

afterEach(closeAll);

const to = (...backends: TcpRoute['backends']): TcpRoute => ({
  route: { kind: 'TCPRoute', namespace: 'shop', name: 'store' },
  backends,
});
const backend = (name: string, weight = 1) => ({ target: { service: `shop/${name}`, port: 6379 }, weight });

/** A service `store` with routes; `shop/old` and `shop/new` greet with their names. */
async function startStore(routes: Partial<Service['ports'][0]>, random = Math.random) {
  const outbound = await freePort();
  const names = ['store', 'old', 'new'];
  const endpoints = await Promise.all(
    names.map(async (name) => endpointsOf(name, 6379, [{ port: await startEcho(`${name}\n`) }])),
  );
  const { ports, ...rest } = service('store', 6379, 'tcp');
  const store: Service = { ...rest, ports: [{ ...ports[0], ...routes }] };
  await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(await createAuthority(), 'web'),
    random,
    resources: [store, service('old', 6379, 'tcp'), service('new', 6379, 'tcp'), ...endpoints],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/store', port: 6379 }] } },
  });
  return async () => {
    const socket = connect(outbound, '127.0.0.1');
    const greeting = await readUntil(socket, '\n');
    socket.destroy();
    return greeting.trim();
  };
}

describe('a TCP connection', () => {
  it('goes to the endpoints of its service where no route says otherwise', async () => {
    expect(await (await startStore({}))()).toBe('store');
  });

  it.each([
    [0.74, 'old'],
    [0.76, 'new'],
  ])('goes by the weights of a route (%d is %s)', async (drawn, name) => {
    const tcpRoute = to(backend('old', 3), backend('new', 1));
    expect(await (await startStore({ tcpRoute }, () => drawn))()).toBe(name);
  });

  it("follows the route of its caller's own namespace where there is one", async () => {
    const routes = { tcpRoute: to(backend('old')), consumerTcpRoutes: { shop: to(backend('new')) } };
    expect(await (await startStore(routes))()).toBe('new');
    const elsewhere = { tcpRoute: to(backend('old')), consumerTcpRoutes: { other: to(backend('new')) } };
    expect(await (await startStore(elsewhere))()).toBe('old');
  });

  it.each([
    ['whose backend is not there', to({ problem: 'Service shop/gone is not there', weight: 1 })],
    ['without a weight', to(backend('old', 0))],
  ])('is closed by a route %s', async (_which, tcpRoute) => {
    await expect((await startStore({ tcpRoute }))()).rejects.toThrow('closed after ""');
  });
});
