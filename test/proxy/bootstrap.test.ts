import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FindingsError, formatHostPort } from '../../runtime/model/index.ts';
import { parseBootstrap, parseBootstrapText, parseHostPort } from '../../runtime/proxy/index.ts';

/** As injection writes it for a pod. */
const injected = {
  id: 'reviews-0.shop',
  namespace: 'shop',
  serviceAccount: 'reviews',
  workload: 'shop/reviews',
  trustDomain: 'shop.local',
  controller: { address: 'meshwright-controller.meshwright-system.svc:15010', bundleFile: '/var/run/root.pem' },
  tokenFile: '/var/run/token',
  transparent: { inbound: '0.0.0.0:15006', outbound: '127.0.0.1:15001', podIp: '10.0.0.7' },
  inbound: [],
  outbound: { services: [] },
  gateway: [],
  admin: '0.0.0.0:15020',
  adminAddress: '10.0.0.7:15020',
  stateDir: '/var/run/state',
  probes: {
    'app/liveness': { kind: 'http', port: 80, path: '/live', headers: [['X-A', 'b']], timeoutMs: 1000 },
    'app/readiness': { kind: 'grpc', port: 81, service: '', timeoutMs: 1000 },
    'app/startup': { kind: 'tcp', port: 82, host: '127.0.0.1', timeoutMs: 1000 },
  },
};

function problems(change: object): string[] {
  try {
    parseBootstrap({ ...injected, ...change }, 'MESHWRIGHT_BOOTSTRAP');
    return [];
  } catch (error) {
    return (error as FindingsError).findings.map(({ object, message }) => `${object}: ${message}`);
  }
}

describe('a bootstrap document', () => {
  it('is taken as injection writes it', () => {
    expect(parseBootstrapText(JSON.stringify(injected), 'test')).toEqual(injected);
    expect(
      problems({ transparent: { ...injected.transparent, podIp: 'fd00::7' }, adminAddress: 'fd00::7:15020' }),
    ).toEqual([]);
  });

  it.each([
    [
      { controller: { address: 'a:1' } },
      '"controller" must be { address: host:port } with either bundle: PEM or bundleFile',
    ],
    [{ controller: { address: 'a:1', bundle: 'PEM', bundleFile: '/f' } }, '"controller" must be'],
    [{ controller: { address: 'a:1', bundleFile: '' } }, '"controller" must be'],
    [{ transparent: { ...injected.transparent, podIp: '$(POD_IP)' } }, '"transparent" must be { inbound: host:port'],
    [{ transparent: { inbound: '0.0.0.0:1', podIp: '10.0.0.1' } }, '"transparent" must be'],
    [{ adminAddress: '10.0.0.1' }, '"adminAddress" must be host:port, got "10.0.0.1"'],
    [{ probes: [] }, '"probes" must be a map of { kind: http, tcp or grpc'],
    [{ probes: { a: { kind: 'exec', port: 1, timeoutMs: 1 } } }, '"probes" must be'],
    [{ probes: { a: { kind: 'tcp', port: 0, timeoutMs: 1 } } }, '"probes" must be'],
    [{ probes: { a: { kind: 'tcp', port: 1, timeoutMs: 0 } } }, '"probes" must be'],
    [{ probes: { a: { kind: 'http', port: 1, timeoutMs: 1, headers: [['a']] } } }, '"probes" must be'],
    [{ probes: { a: { kind: 'http', port: 1, timeoutMs: 1, scheme: 'https' } } }, '"probes" must be'],
  ])('is refused with %j', (change, told) => {
    const found = problems(change);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`MESHWRIGHT_BOOTSTRAP: ${told}`);
  });

  it('that is no JSON is told where it comes from', () => {
    expect(() => parseBootstrapText('{', 'MESHWRIGHT_BOOTSTRAP')).toThrow(FindingsError);
    expect(() => parseBootstrapText('{', 'MESHWRIGHT_BOOTSTRAP')).toThrow('not JSON');
  });
});

describe('host:port', () => {
  const port = fc.integer({ min: 0, max: 65_535 });

  it('is split whatever the host is, an IPv6 address with or without brackets', () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.ipV4()), port, (host, port) => {
        expect(parseHostPort(`${host}:${port}`)).toEqual({ host, port });
      }),
    );
    for (const host of ['::', '::1', 'fd00::7', '2001:db8:0:0:0:0:0:1']) {
      expect(formatHostPort({ host, port: 15020 })).toBe(`[${host}]:15020`);
      expect(parseHostPort(`[${host}]:15020`)).toEqual({ host, port: 15020 });
      expect(parseHostPort(`${host}:15020`)).toEqual({ host, port: 15020 });
    }
  });

  it.each(['', 'a', ':80', 'a:', 'a:b', 'a:65536', 'a b:1', 'a:b:1', '[a]:1', 'fd00::zz:1'])('is not %j', (text) => {
    expect(() => parseHostPort(text)).toThrow(`expected host:port, got "${text}"`);
  });
});
