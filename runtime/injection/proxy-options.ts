import { isIP } from 'node:net';
import { type Finding, finding } from '../model/index.ts';
import { annotations } from '../resources/index.ts';
import { parseQuantity } from './quantity.ts';

/** What a pod says by annotations about its proxy. */
export interface ProxyOptions {
  readonly skipInboundPorts: readonly number[];
  readonly skipOutboundPorts: readonly number[];
  /** Addresses and ranges of them. */
  readonly skipOutboundCidrs: readonly string[];
  /** Absent: as the settings of the mesh say. */
  readonly accessLog?: boolean;
  readonly resources: ProxyResources;
  /** Processes of the proxy. */
  readonly concurrency: number;
}

/** As a container has them. */
export interface ProxyResources {
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
}

type Annotations = Readonly<Record<string, string>>;

/** One more than this in a list is a mistake, and would not fit the rules of the kernel well. */
const maxEntries = 100;
/** As a bootstrap document takes it. */
const mostProcesses = 64;
/** With less for each of its processes a proxy does not start. */
const leastMemory = 64 * 2 ** 20;

/**
 * Reads the annotations of a pod.
 *
 * @param place - names the pod in findings
 * @returns all of it, with defaults, or everything that is wrong
 */
export function readProxyOptions(
  given: Annotations,
  place: string,
): { readonly options: ProxyOptions; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const report = (name: string, message: string, hint: string) => {
    const value = JSON.stringify(given[name] ?? '').slice(0, 120);
    findings.push(finding('MW1904', { message: `${name} is ${value}: ${message}`, hint, object: place }));
  };
  const list = (name: string, isValid: (entry: string) => boolean, expected: string): string[] => {
    const entries = (given[name] ?? '')
      .split(',')
      .map((entry) => entry.trim())
      .filter(Boolean);
    const wrong = entries.find((entry) => !isValid(entry));
    if (wrong !== undefined) report(name, `${wrong} is not ${expected}`, `write ${expected}, or several with commas`);
    else if (entries.length > maxEntries) {
      report(name, `${entries.length} entries, at most ${maxEntries} are allowed`, 'use fewer entries');
    }
    return [...new Set(entries)];
  };
  const ports = (name: string) => list(name, isPort, 'a port from 1 to 65535').map(Number);
  const concurrency = readConcurrency(given, report);
  return {
    options: {
      skipInboundPorts: ports(annotations.skipInboundPorts),
      skipOutboundPorts: ports(annotations.skipOutboundPorts),
      skipOutboundCidrs: list(annotations.skipOutboundCidrs, isCidr, 'an address or range such as 10.0.0.0/8'),
      ...readAccessLog(given, report),
      resources: readResources(given, concurrency, report),
      concurrency,
    },
    findings,
  };
}

type Report = (name: string, message: string, hint: string) => void;

function readAccessLog(given: Annotations, report: Report): { accessLog?: boolean } {
  const value = given[annotations.accessLog];
  if (value === undefined) return {};
  if (value !== 'enabled' && value !== 'disabled') {
    report(annotations.accessLog, 'it must be enabled or disabled', 'correct it, or leave it out');
  }
  return { accessLog: value === 'enabled' };
}

function readConcurrency(given: Annotations, report: Report): number {
  const value = given[annotations.proxyConcurrency] ?? '1';
  if (/^[1-9]\d?$/.test(value) && Number(value) <= mostProcesses) return Number(value);
  const message = `it must be a whole number from 1 to ${mostProcesses}`;
  report(
    annotations.proxyConcurrency,
    message,
    'use the number of processors that the proxy may use, or leave it out: 1',
  );
  return 1;
}

function readResources(given: Annotations, concurrency: number, report: Report): ProxyResources {
  const read = (name: string, absent: string | undefined, example: string): string | undefined => {
    const value = given[name];
    if (value === undefined) return absent;
    if (parseQuantity(value)) return value;
    report(name, 'it must be a quantity above zero', `write it as Kubernetes does: ${example}`);
    return undefined;
  };
  const cpuLimit = read(annotations.proxyCpuLimit, undefined, '500m');
  const memoryLimit = read(annotations.proxyMemoryLimit, '128Mi', '256Mi');
  const cpu = read(annotations.proxyCpuRequest, smaller('10m', cpuLimit), '50m');
  const memory = read(annotations.proxyMemoryRequest, smaller('32Mi', memoryLimit), '64Mi');
  if (isLess(memoryLimit, leastMemory)) {
    report(annotations.proxyMemoryLimit, 'a proxy needs 64Mi or more', 'raise it, or leave it out: 128Mi');
  } else if (isLess(memoryLimit, leastMemory * concurrency)) {
    const message = `${concurrency} processes need 64Mi each, but the limit is ${memoryLimit}`;
    report(
      annotations.proxyConcurrency,
      message,
      `set ${annotations.proxyMemoryLimit} to ${64 * concurrency}Mi or more`,
    );
  }
  for (const [name, request, limit] of [
    [annotations.proxyCpuRequest, cpu, cpuLimit],
    [annotations.proxyMemoryRequest, memory, memoryLimit],
  ] as const) {
    if (request && limit && isLess(limit, parseQuantity(request)!)) {
      report(name, `it is more than the limit of ${limit}`, 'lower it, or raise the limit');
    }
  }
  return { requests: present({ cpu, memory }), limits: present({ cpu: cpuLimit, memory: memoryLimit }) };
}

function isPort(text: string): boolean {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535;
}

function isCidr(text: string): boolean {
  const [address, bits, ...rest] = text.split('/');
  const family = isIP(address);
  if (!family || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

function smaller(wanted: string, limit: string | undefined): string {
  return limit !== undefined && isLess(limit, parseQuantity(wanted)!) ? limit : wanted;
}

function isLess(quantity: string | undefined, than: number): boolean {
  return quantity !== undefined && (parseQuantity(quantity) ?? 0) < than;
}

function present(quantities: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(quantities).filter((entry): entry is [string, string] => !!entry[1]));
}
