import type { AppTls, InboundPort, Protocol } from '../model/index.ts';
import { annotations } from '../resources/index.ts';
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
  const encrypted = new Map<number, AppTls>();
  for (const service of entry.services) {
    for (const port of service.ports) {
      for (const number of targetPortsOf(port, entry)) {
        if (port.proxyProtocol) proxied.add(number);
        if (port.appTls) encrypted.set(number, port.appTls);
        const before = declarations.get(number);
        if (before && contradict(before.port, port)) {
          report('MW1105', service.object, {
            message: `it says port ${number} of ${entry.name} speaks ${port.protocol}, but Service ${before.service.name} says ${before.port.protocol}`,
            hint: 'give both ports the same appProtocol',
          });
        }
        if (before && differInTls(before.port, port)) {
          const [one, other] = port.appTls ? [service, before.service] : [before.service, service];
          report('MW1362', service.object, {
            message: `Service ${one.name} says the application at port ${number} of ${entry.name} speaks TLS, but Service ${other.name} does not`,
            hint: `name the port in the annotation ${annotations.appTls} of both, or of neither`,
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
  return Array.from(protocols, ([port, protocol]): InboundPort => {
    const appTls = protocol === 'tcp' ? undefined : encrypted.get(port);
    return { port, protocol, ...(proxied.has(port) && { proxyProtocol: true }), ...(appTls && { appTls }) };
  }).sort((a, b) => a.port - b.port);
}

/** A word of the Service itself says more than a route that leads there, and that more than silence. */
function weightOf({ declaredBy }: ServicePortEntry): number {
  return declaredBy === 'service' ? 2 : declaredBy === 'route' ? 1 : 0;
}

/** Where both are HTTP; else they contradict each other in more than that, or one of them says nothing. */
function differInTls(a: ServicePortEntry, b: ServicePortEntry): boolean {
  return a.protocol !== 'tcp' && b.protocol !== 'tcp' && a.appTls !== b.appTls;
}

function contradict(a: ServicePortEntry, b: ServicePortEntry): boolean {
  if (!a.declaredBy || !b.declaredBy || a.protocol === b.protocol) return false;
  if (a.protocol === 'tcp' || b.protocol === 'tcp') return true;
  // gRPC is HTTP/2, and an HTTPRoute says nothing of the version of HTTP.
  const [old] = [a, b].filter(({ protocol }) => protocol === 'http');
  return old !== undefined && old.declaredBy === 'service';
}
