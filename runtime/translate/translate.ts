import type { Finding, QualifiedName, Resource } from '../model/index.ts';
import { qualifiedName } from '../model/index.ts';
import { gatewayControllerName, type KubernetesObject } from '../resources/index.ts';
import { attachAccessPolicies } from './access.ts';
import { readCircuitBreakers } from './circuit-breakers.ts';
import { endpointsOf } from './endpoints.ts';
import { warnOfUnservedTls } from './enforcers.ts';
import { attachFaults } from './faults.ts';
import { type GatewayEntries, gatewayStatuses, readGateways, toGateway } from './gateways.ts';
import { collectGrants } from './grants.ts';
import { compareText, type Inventory, takeInventory } from './inventory.ts';
import { applyLoadBalancingPolicies } from './load-balancing.ts';
import { type MeshSettings, readMeshes } from './meshes.ts';
import { readMtlsPolicies } from './mtls.ts';
import { applyOutlierDetection } from './outlier-detection.ts';
import { protocolsDeclaredByRoutes } from './protocols.ts';
import { attachRateLimits } from './rate-limits.ts';
import { type Report, reportTo } from './report.ts';
import { readRetryPolicies } from './retries.ts';
import { attachRoutes } from './routes/attach.ts';
import { readServices, type ServiceEntries, toService } from './services.ts';
import { serviceOf, slicesByService } from './slices.ts';
import { accepted, condition, type ObjectStatus, referenceTo } from './status.ts';
import { readTimeoutPolicies } from './timeouts.ts';
import { declaredCalls, toWorkload } from './workload-resources.ts';
import { readWorkloads, type WorkloadEntry, type Workloads } from './workloads.ts';

export interface Translation {
  /** What discovery carries, in a fixed order. */
  readonly resources: readonly Resource[];
  readonly findings: readonly Finding[];
  /** The status of each object that has one. */
  readonly statuses: readonly ObjectStatus[];
  readonly trustDomain: string;
}

/**
 * Turns Kubernetes objects into what the proxies must do. Pure, and independent of the order of the objects.
 *
 * @param objects - everything the mesh knows of, as `parseObject` gives it
 */
export function translate(objects: readonly KubernetesObject[]): Translation {
  return compile(objects).translation;
}

/** A translation with what it takes to bring its endpoints up to date. */
export interface Compilation {
  readonly translation: Translation;
  readonly services: ServiceEntries;
  readonly workloads: Workloads;
  readonly mesh: MeshSettings;
}

/** `trustDomain` is that of the certificates, where there are any yet. */
export function compile(objects: readonly KubernetesObject[], trustDomain?: string): Compilation {
  const findings: Finding[] = [];
  const statuses: ObjectStatus[] = [];
  const report = reportTo(findings);

  const inventory = takeInventory(objects, report);
  const mesh = readMeshes(inventory, trustDomain, report, statuses);
  const grants = collectGrants(inventory);
  const services = readServices(inventory, protocolsDeclaredByRoutes(inventory, grants), report);
  const gateways = readGateways(inventory, report);
  const workloads = readWorkloads(inventory, services, gateways, report);
  const circuitBreakers = readCircuitBreakers(inventory, services, report, statuses);
  const retriesOf = readRetryPolicies(inventory, services, report, statuses);
  const timeoutsOf = readTimeoutPolicies(inventory, services, report, statuses);
  attachRoutes(
    { inventory, mesh, services, gateways, grants, circuitBreakers, retriesOf, timeoutsOf, report },
    statuses,
  );
  attachAccessPolicies(inventory, services, workloads, report, statuses);
  attachRateLimits(inventory, services, workloads, report, statuses);
  attachFaults(inventory, services, report, statuses);
  applyLoadBalancingPolicies(inventory, services, report, statuses);
  applyOutlierDetection(inventory, services, report, statuses);
  const mtls = readMtlsPolicies(inventory, services, workloads, mesh, report, statuses);
  statuses.push(...gatewayClassStatuses(inventory), ...gatewayStatuses(gateways, workloads, report));
  warnOfUnservedTls(services, workloads, report);
  warnOfIdleServices(services, workloads, inventory, report);

  const slicesOf = slicesByService(inventory);
  const sorted = [...services.values()].sort((a, b) => compareText(a.name, b.name));
  const translation: Translation = {
    resources: [
      ...sorted.map(toService),
      ...sorted.map((service) => endpointsOf(service, slicesOf.get(service.name) ?? [], workloads, mesh)),
      ...workloads.entries.map((entry) =>
        toWorkload(entry, mesh, mtls, callsOf(entry, services, gateways, report), report),
      ),
      ...[...gateways.values()].map(toGateway).sort((a, b) => compareText(a.name, b.name)),
    ],
    findings,
    statuses: statuses.sort((a, b) => compareText(statusKey(a), statusKey(b))),
    trustDomain: mesh.trustDomain,
  };
  return { translation, services, workloads, mesh };
}

function callsOf(
  entry: WorkloadEntry,
  services: ServiceEntries,
  gateways: GatewayEntries,
  report: Report,
): readonly QualifiedName[] | 'all' {
  if (!entry.gateway) return declaredCalls(entry, services, report);
  return [...(gateways.get(qualifiedName(entry.namespace, entry.gateway))?.calls ?? [])].sort(compareText);
}

function gatewayClassStatuses(inventory: Inventory): ObjectStatus[] {
  return inventory
    .all('GatewayClass')
    .filter(({ spec }) => spec.controllerName === gatewayControllerName)
    .map((object) => ({ object: referenceTo(object), conditions: [condition(object, 'Accepted', accepted)] }));
}

function warnOfIdleServices(
  services: ServiceEntries,
  workloads: Workloads,
  inventory: Inventory,
  report: Report,
): void {
  const withSlices = new Set(inventory.all('EndpointSlice').map(serviceOf));
  for (const service of services.values()) {
    const { selector } = service.object.spec;
    if (!selector || !Object.keys(selector).length || workloads.of(service).length) continue;
    // Pods whose controller we do not know may be behind it all the same.
    if (withSlices.has(service.name)) continue;
    const wanted = Object.entries(selector).map(([label, value]) => `${label}=${value}`);
    report('MW1106', service.object, {
      path: 'spec.selector',
      message: `no workload has the labels ${wanted.join(', ')}`,
      hint: 'compare the selector with the labels of the pod template',
    });
  }
}

function statusKey({ object }: ObjectStatus): string {
  return `${object.kind} ${object.namespace}/${object.name}`;
}
