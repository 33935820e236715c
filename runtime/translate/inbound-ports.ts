import type { InboundPort, Protocol } from '../model/index.ts';
import type { Report } from './report.ts';
import type { ServiceEntry, ServicePortEntry } from './services.ts';
import { targetPortsOf, type WorkloadEntry } from './workloads.ts';

interface Declaration {
  readonly service: ServiceEntry;
  readonly port: ServicePortEntry;
}

/** The ports of a workload's containers, with the protocol that Services declare; what none declares is TCP. */
export function inboundPorts(entry: WorkloadEntry, report: Report): InboundPort[] {
  const declarations = new Map<number, Declaration>();
  const proxied = new Set<number>();
  for (const service of entry.services) {
    for (const port of service.ports) {
      for (const number of targetPortsOf(port, entry)) {
        if (port.proxyProtocol) proxied.add(number);
        const before = declarations.get(number);
        if (before && contradict(before.port, port)) {
          report('MW1105', service.object, {
            message: `it says port ${number} of ${entry.name} speaks ${port.protocol}, but Service ${before.service.name} says ${before.port.protocol}`,
            hint: 'give both ports the same appProtocol',
          });
        }
        if (!before || weightOf(port) > weightOf(before.port)) declarations.set(number, { service, port });
      }
    }
  }
  const protocols = new Map<number, Protocol>(
    Array.from(declarations, ([number, { port }]) => [number, port.protocol]),
  );
  for (const { containerPort, protocol = 'TCP' } of entry.ports) {
    if (protocol === 'TCP' && !protocols.has(containerPort)) protocols.set(containerPort, 'tcp');
  }
  return Array.from(
    protocols,
    ([port, protocol]): InboundPort => ({ port, protocol, ...(proxied.has(port) && { proxyProtocol: true }) }),
  ).sort((a, b) => a.port - b.port);
}

/** A word of the Service itself says more than a route that leads there, and that more than silence. */
function weightOf({ declaredBy }: ServicePortEntry): number {
  return declaredBy === 'service' ? 2 : declaredBy === 'route' ? 1 : 0;
}

function contradict(a: ServicePortEntry, b: ServicePortEntry): boolean {
  if (!a.declaredBy || !b.declaredBy || a.protocol === b.protocol) return false;
  if (a.protocol === 'tcp' || b.protocol === 'tcp') return true;
  // gRPC is HTTP/2, and an HTTPRoute says nothing of the version of HTTP.
  const [old] = [a, b].filter(({ protocol }) => protocol === 'http');
  return old !== undefined && old.declaredBy === 'service';
}
