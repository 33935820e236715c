import {
  formatSpiffeId,
  type Gateway,
  type HttpListener,
  type HttpRule,
  type Protocol,
  type Resource,
  type Service,
} from '../../runtime/model/index.ts';

export const trustDomain = 'test.local';

export const identityOf = (serviceAccount: string): string =>
  formatSpiffeId({ trustDomain, namespace: 'shop', serviceAccount });

/** A rule that sends everything to one service. */
export function forwardTo(service: string, port: number, more: Partial<HttpRule> = {}): HttpRule {
  return {
    route: { kind: 'HTTPRoute', namespace: 'shop', name: 'route' },
    name: 'rule-0',
    matches: [{ path: { kind: 'prefix', value: '/' }, headers: [], query: [] }],
    mirrors: [],
    timeouts: {},
    action: { kind: 'forward', backends: [{ target: { service, port }, weight: 1 }] },
    ...more,
  };
}

export function service(name: string, port: number, protocol: Protocol, rules: readonly HttpRule[] = []): Service {
  return {
    kind: 'service',
    name: `shop/${name}`,
    hosts: [`${name}.shop`, `${name}.shop.svc.cluster.local`],
    addresses: [],
    ports: [{ port, name: 'main', protocol, rules }],
    balancer: { kind: 'peak-ewma' },
  };
}

export function endpointsOf(
  name: string,
  servicePort: number,
  targets: readonly { port: number; identity?: string; plainPorts?: readonly number[] }[],
): Resource {
  return {
    kind: 'endpoints',
    name: `shop/${name}`,
    endpoints: targets.map(({ port, identity, plainPorts }) => ({
      address: '127.0.0.1',
      ports: { [servicePort]: port },
      ...(identity && { identity }),
      ...(plainPorts && { plainPorts }),
    })),
  };
}

/** A gateway with one HTTP listener, on port 80, which sends every host by the same rules. */
export const gatewayOf = (name: string, rules: readonly HttpRule[], listener: Partial<HttpListener> = {}): Gateway => ({
  kind: 'gateway',
  name: `shop/${name}`,
  listeners: [{ name: 'http', port: 80, protocol: 'http', virtualHosts: [{ hostnames: ['*'], rules }], ...listener }],
});
