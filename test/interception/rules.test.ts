import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { defaultRedirect, parseCidr, redirectRules } from '../../runtime/interception/index.ts';

describe('the rules of a redirect', () => {
  it('lead every TCP connection to the proxy, except its own, those within the pod and those of its ports', () => {
    expect(redirectRules(defaultRedirect)).toBe(`\
add table inet meshwright
delete table inet meshwright
table inet meshwright {
  chain outbound {
    type nat hook output priority -100; policy accept;
    meta skuid 1337 accept
    ip daddr 127.0.0.6 tcp dport 15001 redirect to :15001
    oifname "lo" accept
    meta l4proto tcp redirect to :15001
  }
  chain inbound {
    type nat hook prerouting priority -100; policy accept;
    iifname "lo" accept
    tcp dport { 15001, 15006, 15020 } accept
    meta l4proto tcp redirect to :15006
  }
}
`);
  });

  it('leave out what they are told to, each thing once', () => {
    const rules = redirectRules({
      inboundPort: 4006,
      outboundPort: 4001,
      proxyUid: 2000,
      skipInboundPorts: [9100, 22, 9100],
      skipOutboundPorts: [3306, 53],
      skipOutboundCidrs: ['169.254.0.0/16', '10.96.0.1', 'fd00::/8', '10.96.0.1/32', '::1'],
    });
    expect(rules).toBe(`\
add table inet meshwright
delete table inet meshwright
table inet meshwright {
  chain outbound {
    type nat hook output priority -100; policy accept;
    meta skuid 2000 accept
    ip daddr 127.0.0.6 tcp dport 4001 redirect to :4001
    oifname "lo" accept
    tcp dport { 53, 3306 } accept
    ip daddr 169.254.0.0/16 accept
    ip daddr 10.96.0.1/32 accept
    ip6 daddr fd00::/8 accept
    ip6 daddr ::1/128 accept
    meta l4proto tcp redirect to :4001
  }
  chain inbound {
    type nat hook prerouting priority -100; policy accept;
    iifname "lo" accept
    tcp dport { 22, 4001, 4006, 9100 } accept
    meta l4proto tcp redirect to :4006
  }
}
`);
  });

  it('hold nothing that a network could smuggle in', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('10.0.0.0/8', '::/0', ''), fc.boolean(), (text, network, before) => {
        const cidr = before ? text + network : network + text;
        try {
          expect(parseCidr(cidr)).toMatch(/^[0-9a-fA-F:.]+\/\d{1,3}$/);
        } catch (error) {
          expect((error as Error).message).toContain(' is no network; expected ');
        }
      }),
    );
  });
});

describe('a network', () => {
  it.each(['', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0/8', '::/129', 'fe80::1%eth0', 'a.b'])(
    'is not %j',
    (text) => {
      expect(() => parseCidr(text)).toThrow(`"${text}" is no network; expected an address with a prefix length`);
    },
  );

  it.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['10.1.2.3', '10.1.2.3/32'],
    ['fd00::', 'fd00::/128'],
  ])('is %s', (text, network) => {
    expect(parseCidr(text)).toBe(network);
  });
});
