import { afterEach, expect, it } from '@jest/globals';
import { sliceResources } from '../../runtime/controller/slices.ts';
import type { HttpRule, Service, Workload } from '../../runtime/model/index.ts';
import { closeAll, createAuthority, freePort, send, startApp, startProxy, svidOf } from './mesh.ts';
import { endpointsOf, forwardTo, service } from './resources.ts';

afterEach(closeAll);

const marking = (value: string): HttpRule =>
  forwardTo('shop/reviews', 80, { responseHeaders: { set: [{ name: 'x-mark', value }], add: [], remove: [] } });

/** A service whose owner marks responses, and a namespace of callers that has a route of its own. */
function withConsumers(namespace: string): Service {
  const { ports, ...rest } = service('reviews', 80, 'http', [marking('producer')]);
  return { ...rest, ports: [{ ...ports[0], consumerRules: { [namespace]: [marking('consumer')] } }] };
}

async function markSeenBy(reviews: Service): Promise<string | undefined> {
  const app = await startApp((_request, response) => response.end());
  const outbound = await freePort();
  await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(await createAuthority(), 'web'),
    resources: [reviews, endpointsOf('reviews', 80, [{ port: app }])],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 80 }] } },
  });
  return (await send(outbound)).headers['x-mark'] as string | undefined;
}

it('routes by the rules of the own namespace where it has some', async () => {
  expect(await markSeenBy(withConsumers('shop'))).toBe('consumer');
});

it('routes by the rules of the service where only other namespaces have their own', async () => {
  expect(await markSeenBy(withConsumers('other'))).toBe('producer');
});

it('is shown and asks for what the routes of its own namespace lead to, not those of others', async () => {
  const to = (name: string): readonly HttpRule[] => [forwardTo(name, 80)];
  const plain = service('reviews', 80, 'http');
  const consumerRules = { shop: to('shop/ours'), other: to('shop/theirs') };
  const reviews: Service = { ...plain, ports: [{ ...plain.ports[0], rules: to('shop/default'), consumerRules }] };
  const { proxy } = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(await createAuthority(), 'web'),
    resources: [reviews],
  });
  const web: Workload = { ...proxy.resources.find((each) => each.kind === 'workload')!, calls: ['shop/reviews'] };
  proxy.apply([web], 'workload', []);
  expect(proxy.subscriptions.service).toEqual(['shop/reviews', 'shop/ours']);

  const { permit } = sliceResources([web, reviews]);
  const identity = { trustDomain: 'test.local', namespace: 'shop', serviceAccount: 'web' };
  const names = ['shop/reviews', 'shop/ours', 'shop/theirs', 'shop/default'];
  expect(names.filter((name) => permit(identity, 'endpoints', name))).toEqual(['shop/reviews', 'shop/ours']);
});
