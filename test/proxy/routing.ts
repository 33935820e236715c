import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AccessPolicy, HttpRule, Resource } from '../../runtime/model/index.ts';
import type { ProxyLimits } from '../../runtime/proxy/index.ts';
import { createAuthority, freePort, type RunningProxy, startApp, startProxy, svidOf } from './mesh.ts';
import { endpointsOf, identityOf, service } from './resources.ts';

export type App = (request: IncomingMessage, response: ServerResponse) => void;

/** Apps with an inbound sidecar each; returns how `web` reaches them. */
export async function startMesh(
  apps: Record<string, App>,
  resources: readonly Resource[],
  access: readonly AccessPolicy[] = [],
  limits: Partial<ProxyLimits> = {},
) {
  const authority = await createAuthority();
  const endpoints: Resource[] = [];
  const servers: Record<string, RunningProxy> = {};
  for (const [name, app] of Object.entries(apps)) {
    const inbound = await freePort();
    servers[name] = await startProxy({
      serviceAccount: name,
      svid: await svidOf(authority, name),
      ports: [{ port: 9080, protocol: 'http' }],
      access,
      bootstrap: {
        inbound: [{ listen: `127.0.0.1:${inbound}`, port: 9080, app: `127.0.0.1:${await startApp(app)}` }],
      },
    });
    endpoints.push(endpointsOf(name, 9080, [{ port: inbound, identity: identityOf(name) }]));
  }
  const outbound = await freePort();
  const client = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(authority, 'web'),
    limits,
    resources: [...resources, ...endpoints],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }] } },
  });
  return { authority, outbound, client, servers };
}

/** An application that tells its name, and what it was asked for. */
export const named =
  (name: string): App =>
  (request, response) =>
    response.end(`${name} ${request.url}`);

/** `reviews`, which is called, and the services that its rules may send to. */
export const reviews = (rules: readonly HttpRule[]): Resource[] => [
  service('reviews', 9080, 'http', rules),
  service('v1', 9080, 'http'),
  service('v2', 9080, 'http'),
];
