import { checkPattern, type Fault, type FaultAbort, type HeaderMatch, parseDuration } from '../model/index.ts';
import type { FaultPolicyObject } from '../resources/index.ts';
import type { Inventory } from './inventory.ts';
import type { Report } from './report.ts';
import type { ServiceEntries, ServicePortEntry } from './services.ts';
import { accepted, type ObjectStatus, ownStatus, referenceTo, type Verdict } from './status.ts';
import { resolveTargets } from './targets.ts';

/** Attaches the FaultPolicies to the ports of the Services they target, where all callers see them. */
export function attachFaults(
  inventory: Inventory,
  services: ServiceEntries,
  report: Report,
  statuses: ObjectStatus[],
): void {
  for (const policy of inventory.all('FaultPolicy')) {
    const { targets, verdict: found } = resolveTargets(policy, services, report);
    const { faults, problem } = translateFaults(policy, report);
    const ports = targets.flatMap(({ ports }) => ports);
    const misfit = ports.map((port) => misfitOf(faults, port)).find((message) => message !== undefined);
    if (misfit) {
      const hint = 'name a port that speaks it with sectionName, or abort with an HTTP status';
      report('MW1307', policy, { message: misfit, hint });
    }
    const invalid = problem ?? misfit;
    const verdict: Verdict = invalid ? { holds: false, reason: 'Invalid', message: invalid } : (found ?? accepted);
    statuses.push(ownStatus(policy, verdict, found));
    for (const port of ports) {
      const fitting = faults.filter((fault) => fits(fault, port));
      if (fitting.length > 0) port.faults.push({ policy: referenceTo(policy), faults: fitting });
    }
  }
}

/** A fault that cannot be carried out is left out: one that hits others than those it is meant for does harm. */
function translateFaults(policy: FaultPolicyObject, report: Report): { faults: Fault[]; problem?: string } {
  let problem: string | undefined;
  const faults = policy.spec.faults.flatMap((fault, index): Fault[] => {
    const headers = (fault.headers ?? []).map(headerMatchOf);
    for (const [position, { value }] of headers.entries()) {
      const bad = value.kind === 'regex' ? checkPattern(value.value) : undefined;
      if (!bad) continue;
      const message = `pattern ${value.value}: ${bad}`;
      problem ??= message;
      const path = `spec.faults[${index}].headers[${position}].value`;
      report('MW1307', policy, { path, message, hint: 'correct the pattern; until then the fault is left out' });
      return [];
    }
    const { name = `fault-${index}`, percent = 100, delay, abort, bandwidth } = fault;
    return [
      {
        name,
        headers,
        percent,
        ...(delay !== undefined && { delay: parseDuration(delay) }),
        ...(abort && { abort: abortOf(abort) }),
        ...(bandwidth && { bandwidth: { ...bandwidth } }),
      },
    ];
  });
  return { faults, ...(problem !== undefined && { problem }) };
}

type FaultSpec = FaultPolicyObject['spec']['faults'][number];

function headerMatchOf({ type, name, value }: NonNullable<FaultSpec['headers']>[number]): HeaderMatch {
  return { name: name.toLowerCase(), value: { kind: type === 'RegularExpression' ? 'regex' : 'exact', value } };
}

function abortOf({ httpStatus, grpcStatus }: NonNullable<FaultSpec['abort']>): FaultAbort {
  return httpStatus === undefined ? { kind: 'grpc', status: grpcStatus! } : { kind: 'http', status: httpStatus };
}

function fits({ abort }: Fault, { protocol }: ServicePortEntry): boolean {
  return protocol !== 'tcp' && (abort?.kind !== 'grpc' || protocol === 'grpc');
}

function misfitOf(faults: readonly Fault[], port: ServicePortEntry): string | undefined {
  const fault = faults.find((each) => !fits(each, port));
  if (!fault) return undefined;
  const what = port.protocol === 'tcp' ? 'holds for requests' : 'aborts with a gRPC status';
  return `${fault.name} ${what}, but port ${port.port} speaks ${port.protocol}`;
}
