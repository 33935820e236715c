import { request } from 'node:http';
import { afterEach, expect, it } from '@jest/globals';
import type { AccessPolicy } from '../../runtime/model/index.ts';
import { closeAll, createAuthority, freePort, startApp, startProxy, svidOf } from './mesh.ts';
import { endpointsOf, identityOf, service } from './resources.ts';

afterEach(closeAll);

const onlyOpen: AccessPolicy = {
  policy: { kind: 'AccessPolicy', namespace: 'shop', name: 'reviews' },
  rules: [
    {
      name: 'open',
      action: 'allow',
      from: [{ kind: 'service-account', namespace: 'shop', name: 'web' }],
      to: [{ methods: [], paths: [{ kind: 'prefix', value: '/open' }] }],
    },
  ],
};

/** `web` calls pods whose port speaks HTTP by a Service that says nothing of it. */
async function startPair(appPort?: number) {
  const app = appPort ?? (await startApp((request, response) => response.end(`${request.method} ${request.url}`)));
  const authority = await createAuthority();
  const [inbound, outbound] = [await freePort(), await freePort()];
  await startProxy({
    serviceAccount: 'reviews',
    svid: await svidOf(authority, 'reviews'),
    ports: [{ port: 9080, protocol: 'http' }],
    access: [onlyOpen],
    bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 9080, app: `127.0.0.1:${app}` }] },
  });
  await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(authority, 'web'),
    resources: [
      service('reviews', 9080, 'tcp'),
      endpointsOf('reviews', 9080, [{ port: inbound, identity: identityOf('reviews') }]),
    ],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }] } },
  });
  return (path: string) =>
    new Promise<[number | undefined, string]>((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: outbound, path, agent: false }, async (response) => {
        let body = '';
        for await (const chunk of response) body += chunk;
        resolve([response.statusCode, body]);
      });
      sent.on('error', reject).end();
    });
}

it('reaches an HTTP port by a Service that does not say so, and has its requests judged there', async () => {
  const get = await startPair();
  expect(await get('/open/1')).toStrictEqual([200, 'GET /open/1']);
  expect(await get('/closed')).toStrictEqual([403, expect.anything()]);
});

it('tells callers who speak HTTP/1.1 that nobody is there', async () => {
  const get = await startPair(await freePort());
  expect(await get('/open/1')).toStrictEqual([503, expect.anything()]);
});
