import { isIPv4 } from 'node:net';
import { parseCidr } from './cidr.ts';

/** What is led to the proxy of a pod, and what is not. */
export interface RedirectOptions {
  /** Where the proxy takes connections to any port of the pod. */
  readonly inboundPort: number;
  /** Where the proxy takes the connections that the pod makes. */
  readonly outboundPort: number;
  /** The user whose connections are left alone, since they are the proxy's own. */
  readonly proxyUid: number;
  /** Ports of the pod that are reached without the proxy. */
  readonly skipInboundPorts: readonly number[];
  /** Ports that are called without the proxy, wherever they are. */
  readonly skipOutboundPorts: readonly number[];
  /** Networks that are called without the proxy, as `10.0.0.0/8`; an address is a network of one. */
  readonly skipOutboundCidrs: readonly string[];
}

/** As DESIGN says, "Ports of a sidecar". */
export const defaultRedirect: RedirectOptions = {
  inboundPort: 15006,
  outboundPort: 15001,
  proxyUid: 1337,
  skipInboundPorts: [15020],
  skipOutboundPorts: [],
  skipOutboundCidrs: [],
};

/**
 * An address of loopback that nobody uses. Connections to it, at the proxy's outbound port, are redirected as all
 * others are, unless they are the proxy's own: so a proxy finds out that its user is not the one that is left alone.
 */
export const canaryAddress = '127.0.0.6';

/**
 * The nftables ruleset that leads the TCP connections of a pod through its proxy, IPv4 and IPv6. It replaces what it
 * made before as one transaction and touches no table but its own.
 *
 * What goes over the loopback interface stays as it is: calls of `localhost`, and of the pod to its own address. The
 * proxy thereby reaches the application at the pod's address.
 */
export function redirectRules(options: RedirectOptions): string {
  const { inboundPort, outboundPort, proxyUid } = options;
  const cidrs = [...new Set(options.skipOutboundCidrs.map(parseCidr))];
  const outbound = [
    `meta skuid ${proxyUid} accept`,
    `ip daddr ${canaryAddress} tcp dport ${outboundPort} redirect to :${outboundPort}`,
    'oifname "lo" accept',
    ...skipPorts(options.skipOutboundPorts),
    ...cidrs.map((cidr) => `${isIPv4(cidr.split('/')[0]) ? 'ip' : 'ip6'} daddr ${cidr} accept`),
    `meta l4proto tcp redirect to :${outboundPort}`,
  ];
  const inbound = [
    'iifname "lo" accept',
    ...skipPorts([inboundPort, outboundPort, ...options.skipInboundPorts]),
    `meta l4proto tcp redirect to :${inboundPort}`,
  ];
  return [
    // A table can be deleted only where there is one.
    'add table inet meshwright',
    'delete table inet meshwright',
    'table inet meshwright {',
    ...chain('outbound', 'output', outbound),
    ...chain('inbound', 'prerouting', inbound),
    '}',
    '',
  ].join('\n');
}

/** -100 is where destinations are translated (NF_IP_PRI_NAT_DST); not every version of nft has a name for it in both. */
function chain(name: string, hook: string, rules: readonly string[]): readonly string[] {
  const lines = [`type nat hook ${hook} priority -100; policy accept;`, ...rules];
  return [`  chain ${name} {`, ...lines.map((line) => `    ${line}`), '  }'];
}

function skipPorts(ports: readonly number[]): readonly string[] {
  if (ports.length === 0) return [];
  const sorted = [...new Set(ports)].sort((a, b) => a - b);
  return [`tcp dport { ${sorted.join(', ')} } accept`];
}
