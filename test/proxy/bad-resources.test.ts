import { afterEach, describe, expect, it } from '@jest/globals';
import type { HttpRule } from '../../runtime/model/index.ts';
import { closeAll, createAuthority, freePort, send, startApp, startProxy, svidOf } from './mesh.ts';
import { endpointsOf, forwardTo, service } from './resources.ts';

afterEach(closeAll);

/** No proxy can compile it: the expression never ends. */
const broken: HttpRule = forwardTo('shop/one', 80, {
  matches: [{ path: { kind: 'regex', value: '(' }, headers: [], query: [] }],
});

async function startCaller(calls: 'all' | readonly string[] = 'all') {
  const names = ['one', 'two'];
  const [apps, outbounds] = [
    await Promise.all(names.map((name) => startApp((_request, response) => response.end(name)))),
    [await freePort(), await freePort()],
  ];
  const { proxy } = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(await createAuthority(), 'web'),
    resources: names.flatMap((name, index) => [
      service(name, 80, 'http'),
      endpointsOf(name, 80, [{ port: apps[index] }]),
    ]),
    bootstrap: {
      outbound: {
        services: names.map((name, index) => ({
          listen: `127.0.0.1:${outbounds[index]}`,
          service: `shop/${name}`,
          port: 80,
        })),
      },
    },
  });
  if (calls !== 'all') {
    const [workload] = proxy.resources.filter((each) => each.kind === 'workload');
    proxy.apply([{ ...workload, calls }], 'workload', []);
  }
  const [one, two] = outbounds.map((port) => async () => {
    const { status, body } = await send(port);
    return `${status} ${body}`;
  });
  return { proxy, one, two };
}

describe('an update with one resource that cannot be used', () => {
  it('is taken without it, and what was in force there stays', async () => {
    const { proxy, one, two } = await startCaller();
    const batch = [service('one', 80, 'http', [broken]), service('two', 80, 'http', [forwardTo('shop/one', 80)])];
    const findings = proxy.apply(batch, 'service', ['shop/gone']);
    expect(findings.map(({ id, object }) => [id, object])).toEqual([['MW1702', 'service shop/one']]);
    expect([await one(), await two()]).toEqual(['200 one', '200 one']);
    expect(proxy.resources).toContainEqual(service('one', 80, 'http'));

    expect(proxy.apply([service('one', 80, 'http', [forwardTo('shop/two', 80)])], 'service', [])).toEqual([]);
    expect(await one()).toBe('200 two');
  });

  it('does not keep a proxy from its work that never had one which could be used', async () => {
    const { proxy } = await startCaller(['shop/one', 'shop/three']);
    proxy.apply([], 'endpoints', ['shop/three']);
    expect(proxy.hasConfiguration).toBe(false);
    expect(proxy.apply([service('three', 80, 'http', [broken])], 'service', [])).toHaveLength(1);
    expect(proxy.hasConfiguration).toBe(true);
  });
});
