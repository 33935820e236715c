import { qualifiedName, type Workload } from '../model/index.ts';
import { annotations } from '../resources/index.ts';
import { inboundPorts } from './inbound-ports.ts';
import { compareText } from './inventory.ts';
import type { MeshSettings } from './meshes.ts';
import type { MtlsModes } from './mtls.ts';
import type { Report } from './report.ts';
import type { ServiceEntries, ServiceEntry } from './services.ts';
import type { WorkloadEntry } from './workloads.ts';

/** `calls` are those of the gateway it serves, where it serves one. */
export function toWorkload(
  entry: WorkloadEntry,
  { trustDomain, limitsOf, strangersOf }: MeshSettings,
  modes: MtlsModes,
  calls: Workload['calls'],
  report: Report,
): Workload {
  const { name, namespace, serviceAccount, otherServiceAccounts, version, zone, gateway, access, rateLimits } = entry;
  const service = bestKnownService(entry);
  const mtls = modes.ofWorkload(entry);
  const limits = limitsOf(namespace);
  const strangers = strangersOf(namespace);
  return {
    kind: 'workload',
    name,
    namespace,
    serviceAccount,
    ...(otherServiceAccounts ? { otherServiceAccounts } : {}),
    ...(service ? { service: service.name } : {}),
    ...(version ? { version } : {}),
    ...(zone ? { zone } : {}),
    trustDomain,
    mtls,
    ports: inboundPorts(entry, report).map((port) => {
      const own = modes.ofPort(entry, port.port);
      if (port.proxyProtocol && own === 'strict') {
        report('MW1411', entry.place, {
          message: `port ${port.port} of ${name} takes no plain text, so nobody can begin with a PROXY header there`,
          hint: 'allow plain text on the port with an MtlsPolicy, or remove the annotation from its Service',
        });
      }
      return own === mtls ? port : { ...port, mtls: own };
    }),
    access,
    ...(rateLimits.length ? { rateLimits } : {}),
    ...(limits ? { limits } : {}),
    ...(strangers ? { strangers } : {}),
    calls,
    ...(gateway ? { gateway: qualifiedName(namespace, gateway) } : {}),
  };
}

/** The services a workload says it calls, sorted; all where it says nothing. */
export function declaredCalls(entry: WorkloadEntry, services: ServiceEntries, report: Report): Workload['calls'] {
  if (entry.calls === undefined) return 'all';
  const names = entry.calls
    .flatMap((list) => list.split(','))
    .map((name) => name.trim())
    .filter(Boolean)
    .map((name) => (name.includes('/') ? name : qualifiedName(entry.namespace, name)));
  const calls = [...new Set(names)].sort(compareText);
  for (const name of calls) {
    if (services.has(name)) continue;
    const { message, hint } = services.absence(name);
    report('MW1104', entry.place, {
      path: `annotation ${annotations.calls}`,
      message: `${entry.name} calls ${name}: ${message}`,
      hint,
    });
  }
  return calls;
}

/** The Service with the widest selector: `reviews` rather than `reviews-v1`, and rather than one without selector. */
function bestKnownService({ services }: WorkloadEntry): ServiceEntry | undefined {
  const width = (service: ServiceEntry) => Object.keys(service.object.spec.selector ?? {}).length || Infinity;
  return [...services].sort((a, b) => width(a) - width(b) || compareText(a.name, b.name))[0];
}
