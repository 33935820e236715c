import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Endpoint, type Resource, type Service, systemClock } from '../../runtime/model/index.ts';
import { Destinations, type EndpointPort } from '../../runtime/proxy/destinations.ts';
import { MeshView } from '../../runtime/proxy/mesh-view.ts';

function setUp() {
  const gone: EndpointPort[] = [];
  const destinations = new Destinations([15020], (endpoint) => gone.push(endpoint));
  const view = new MeshView('shop', [destinations], systemClock);
  destinations.follow(view);
  return {
    gone,
    /** Takes resources, or the removal of some. */
    apply(...resources: readonly Resource[]) {
      for (const resource of resources) expect(view.apply([resource], resource.kind, [])).toEqual([]);
    },
    remove: (kind: Resource['kind'], name: string) => view.apply([], kind, [name]),
    find: (host: string, port: number) => destinations.find({ host, port }),
    /** In short: `service shop/reviews:80`, `endpoint shop/reviews:80 as <identity>`, or `pod of shop/reviews as <identity>`. */
    meaning(host: string, port: number) {
      const found = destinations.find({ host, port });
      if (!found) return undefined;
      if (found.kind === 'service') return `service ${found.target.service}:${found.target.port}`;
      const { peer } = found.kind === 'pod' ? found : found.endpoint;
      expect([peer.host, peer.port]).toEqual([host, port]);
      if (found.kind === 'pod') return `pod of ${found.service} as ${peer.identity}`;
      const { target } = found.endpoint;
      return `endpoint ${target.service}:${target.port} as ${peer.identity}`;
    },
  };
}

const service = (name: string, addresses: readonly string[], ports: readonly number[] = [80]): Service => ({
  kind: 'service',
  name: `shop/${name}`,
  hosts: [],
  addresses,
  ports: ports.map((port) => ({ port, name: `p${port}`, protocol: 'http', rules: [] })),
  balancer: { kind: 'peak-ewma' },
});
const endpoint = (address: string, ports: Endpoint['ports'], identity?: string): Endpoint => ({
  address,
  ports,
  ...(identity && { identity }),
});
const endpoints = (name: string, ...endpoints: Endpoint[]): Resource => ({
  kind: 'endpoints',
  name: `shop/${name}`,
  endpoints,
});

describe('an address and port', () => {
  it('mean the service whose virtual address that is, in any way to write it, and only ports it has', () => {
    const { apply, meaning } = setUp();
    apply(service('reviews', ['10.96.0.7', 'FD00:0::7'], [80, 81]));
    expect(meaning('10.96.0.7', 80)).toBe('service shop/reviews:80');
    expect(meaning('fd00::7', 81)).toBe('service shop/reviews:81');
    expect(meaning('10.96.0.7', 82)).toBeUndefined();
    expect(meaning('10.96.0.8', 80)).toBeUndefined();
  });

  it('mean the endpoint that listens there', () => {
    const { apply, meaning } = setUp();
    apply(endpoints('store', endpoint('10.0.0.1', { 6379: 6380 }, 'spiffe://x'), endpoint('10.0.0.2', { 6379: 6380 })));
    expect(meaning('10.0.0.1', 6380)).toBe('endpoint shop/store:6379 as spiffe://x');
    expect(meaning('10.0.0.2', 6380)).toBe('endpoint shop/store:6379 as undefined');
    expect(meaning('10.0.0.1', 6379)).toBe('pod of shop/store as spiffe://x');
    expect(meaning('10.0.0.2', 6379)).toBeUndefined();
  });

  it('mean the pod at any of its ports, as long as a service of it is known, but for those without a proxy', () => {
    const { apply, meaning, remove } = setUp();
    const pod = { ...endpoint('FD00::1', { 80: 8080, 81: 9100 }, 'spiffe://x'), plainPorts: [9000, 9100] };
    apply(endpoints('store', pod), endpoints('names', { ...pod, ports: {} }));
    expect(meaning('fd00::1', 8080)).toBe('endpoint shop/store:80 as spiffe://x');
    expect(meaning('fd00::1', 9100)).toBe('endpoint shop/store:81 as undefined');
    expect(meaning('fd00::1', 1234)).toBe('pod of shop/store as spiffe://x');
    for (const plain of [9000, 15020]) expect(meaning('fd00::1', plain)).toBeUndefined();
    remove('endpoints', 'shop/store');
    for (const port of [8080, 1234]) expect(meaning('fd00::1', port)).toBe('pod of shop/names as spiffe://x');
    remove('endpoints', 'shop/names');
    expect(meaning('fd00::1', 1234)).toBeUndefined();
  });

  it('of an endpoint that services share mean the headless one, else the first by name', () => {
    const { apply, meaning, remove } = setUp();
    const shared = endpoint('10.0.0.1', { 80: 8080 });
    apply(endpoints('b', shared), endpoints('a', shared), service('a', ['10.96.0.1']), service('b', ['10.96.0.2']));
    expect(meaning('10.0.0.1', 8080)).toBe('endpoint shop/a:80 as undefined');
    apply(service('c', []), endpoints('c', shared));
    expect(meaning('10.0.0.1', 8080)).toBe('endpoint shop/c:80 as undefined');
    remove('endpoints', 'shop/c');
    remove('endpoints', 'shop/a');
    expect(meaning('10.0.0.1', 8080)).toBe('endpoint shop/b:80 as undefined');
  });

  it('mean the first port of a service where two lead to one', () => {
    const { apply, meaning } = setUp();
    apply(endpoints('store', endpoint('10.0.0.1', { 80: 8080, 81: 8080 })));
    expect(meaning('10.0.0.1', 8080)).toBe('endpoint shop/store:80 as undefined');
  });
});

describe('a change', () => {
  it('takes virtual addresses away with the service, unless they are those of another by then', () => {
    const { apply, meaning, remove } = setUp();
    apply(service('old', ['10.96.0.1', '10.96.0.2']));
    apply(service('new', ['10.96.0.1']));
    remove('service', 'shop/old');
    expect(meaning('10.96.0.1', 80)).toBe('service shop/new:80');
    expect(meaning('10.96.0.2', 80)).toBeUndefined();
    apply(service('new', ['10.96.0.3']));
    expect(meaning('10.96.0.1', 80)).toBeUndefined();
  });

  it('keeps an endpoint that stays what it was, and tells of those that do not', () => {
    const { apply, find, gone } = setUp();
    const same = endpoint('10.0.0.1', { 80: 8080 }, 'spiffe://x');
    apply(endpoints('store', same, endpoint('10.0.0.2', { 80: 8080 }, 'spiffe://x')));
    const [first, second] = [find('10.0.0.1', 8080), find('10.0.0.2', 8080)];
    apply(endpoints('store', { ...same, zone: 'a' }, endpoint('10.0.0.2', { 80: 8080 }, 'spiffe://y')));
    const endpointOf = (found: typeof first) => (found?.kind === 'endpoint' ? found.endpoint : undefined);
    expect(endpointOf(find('10.0.0.1', 8080))).toBe(endpointOf(first));
    expect(endpointOf(find('10.0.0.2', 8080))?.peer.identity).toBe('spiffe://y');
    expect(gone).toEqual([endpointOf(second)]);
  });

  it('whatever it is, leaves what the configuration says and nothing else', () => {
    const addresses = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
    const names = ['a', 'b', 'c'];
    const change = fc.record({
      name: fc.constantFrom(...names),
      virtual: fc.option(fc.subarray(addresses)),
      pods: fc.option(fc.subarray(addresses)),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
        const { apply, remove, meaning, find } = setUp();
        const virtual = new Map<string, readonly string[]>();
        const pods = new Map<string, readonly string[]>();
        for (const { name, virtual: vips, pods: ips } of changes) {
          if (vips) apply(service(name, vips));
          else remove('service', `shop/${name}`);
          virtual.set(name, vips ?? []);
          if (ips) apply(endpoints(name, ...ips.map((address) => endpoint(address, { 80: 8080 }, 'spiffe://x'))));
          else remove('endpoints', `shop/${name}`);
          pods.set(name, ips ?? []);
        }
        for (const address of addresses) {
          const serving = names.filter((name) => pods.get(name)?.includes(address));
          const found = find(address, 8080);
          expect(found?.kind === 'endpoint' ? serving.includes(found.endpoint.target.service.slice(5)) : false).toBe(
            serving.length > 0,
          );
          const other = find(address, 8081);
          expect(other?.kind === 'pod' ? serving.includes(other.service.slice(5)) : false).toBe(serving.length > 0);
          const claiming = names.filter((name) => virtual.get(name)?.includes(address));
          const named = meaning(address, 80);
          // Where several claim an address, the last that said so has it, for as long as it does.
          if (claiming.length === 0) expect(named?.startsWith('pod ') ?? false).toBe(serving.length > 0);
          if (named?.startsWith('service ')) expect(claiming).toContain(/shop\/(\w+):/.exec(named)?.[1]);
        }
      }),
    );
  });
});
