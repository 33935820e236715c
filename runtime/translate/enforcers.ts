import { type AccessPolicyObject, annotations, type RateLimitPolicyObject } from '../resources/index.ts';
import { valueAt } from './collections.ts';
import type { Place, Report } from './report.ts';
import type { ServiceEntries, ServiceEntry } from './services.ts';
import type { PolicyTarget } from './targets.ts';
import { targetPortsOf, type WorkloadEntry, type Workloads } from './workloads.ts';

/**
 * The workloads that enforce a policy, each with the container ports it holds for: all where that is `undefined`.
 * Reports where nothing enforces it.
 */
export function enforcersOf(
  policy: AccessPolicyObject | RateLimitPolicyObject,
  targets: readonly PolicyTarget[],
  workloads: Workloads,
  report: Report,
): ReadonlyMap<WorkloadEntry, readonly number[] | undefined> {
  const portsOf = new Map<WorkloadEntry, Set<number | undefined>>();
  for (const { service, ports } of targets) {
    const selected = workloads.of(service);
    warnOfNobody(policy, service, workloads, report);
    for (const workload of selected) {
      const known = valueAt(portsOf, workload, () => new Set<number | undefined>());
      for (const port of ports) {
        const numbers = targetPortsOf(port, workload);
        for (const number of numbers.length > 0 ? numbers : [undefined]) known.add(number);
      }
    }
  }
  return new Map(Array.from(portsOf, ([workload, ports]) => [workload, numbersOf(ports)]));
}

/** Reports where no proxy is behind a Service that could do what a policy says. */
export function warnOfNobody(policy: Place, service: ServiceEntry, workloads: Workloads, report: Report): void {
  if (workloads.of(service).some((workload) => workload.inMesh)) return;
  report('MW1305', policy, {
    message: `no workload with a sidecar is behind Service ${service.name}, so nothing enforces the policy`,
    hint: 'put the pods into the mesh with the label meshwright.dev/inject: enabled',
  });
}

/** Reports where the application of a port speaks TLS, but no sidecar is there to speak it. */
export function warnOfUnservedTls(services: ServiceEntries, workloads: Workloads, report: Report): void {
  for (const service of services.values()) {
    if (!service.ports.some(({ appTls }) => appTls)) continue;
    if (workloads.of(service).some((workload) => workload.inMesh)) continue;
    report('MW1363', service.object, {
      path: `annotation ${annotations.appTls}`,
      message: `no workload with a sidecar is behind Service ${service.name}, so callers send plain text to an application that speaks TLS`,
      hint: 'put the pods into the mesh with the label meshwright.dev/inject: enabled, or let callers speak TLS themselves (appProtocol: https)',
    });
  }
}

/** A port whose number is not known might be any: the policy then holds for them all. */
function numbersOf(ports: ReadonlySet<number | undefined>): readonly number[] | undefined {
  if (ports.has(undefined)) return undefined;
  return [...(ports as ReadonlySet<number>)].sort((a, b) => a - b);
}
