import {
  type Gateway,
  type GatewayListener,
  type QualifiedName,
  qualifiedName,
  type TlsRoute,
  type VirtualHost,
} from '../model/index.ts';
import {
  annotations,
  type GatewayObject,
  gatewayClassName,
  gatewayControllerName,
  labels,
  namespaceOf,
} from '../resources/index.ts';
import { namesIn } from './annotations.ts';
import { valueAt } from './collections.ts';
import { compareText, type Inventory } from './inventory.ts';
import type { Report } from './report.ts';
import type { CompiledRule } from './routes/rules.ts';
import { accepted, condition, type ListenerStatus, type ObjectStatus, referenceTo, type Verdict } from './status.ts';
import type { Workloads } from './workloads.ts';

type ListenerSpec = GatewayObject['spec']['listeners'][number];

/** A listener while routes are being attached to it. */
export interface ListenerEntry {
  readonly spec: ListenerSpec;
  readonly verdict: Verdict;
  /** From host name (`*` for all) to the rules for it, oldest route first. */
  readonly hosts: Map<string, CompiledRule[]>;
  readonly tlsRoutes: TlsRoute[];
  attachedRoutes: number;
}

/** A Gateway of ours while it is being translated. */
export interface GatewayEntry {
  readonly object: GatewayObject;
  readonly name: QualifiedName;
  readonly listeners: readonly ListenerEntry[];
  /** Ports whose connections begin with a PROXY header: nobody knows which listener they are for before. */
  readonly proxiedPorts: ReadonlySet<number>;
  /** The services that its routes lead to. */
  readonly calls: Set<QualifiedName>;
}

export type GatewayEntries = ReadonlyMap<QualifiedName, GatewayEntry>;

type TakenPorts = Map<number, { readonly protocol: string; readonly hostnames: Set<string> }>;
const conflicts: readonly string[] = ['ProtocolConflict', 'HostnameConflict'];

/** The Gateways whose class is ours; the others are somebody else's business. */
export function readGateways(inventory: Inventory, report: Report): GatewayEntries {
  const classes = inventory.all('GatewayClass').filter(({ spec }) => spec.controllerName === gatewayControllerName);
  const ours = new Set([gatewayClassName, ...classes.map(({ metadata }) => metadata.name)]);
  const entries = new Map<QualifiedName, GatewayEntry>();
  for (const object of inventory.all('Gateway')) {
    if (!ours.has(object.spec.gatewayClassName)) continue;
    const name = qualifiedName(namespaceOf(object), object.metadata.name);
    const taken: TakenPorts = new Map();
    const listeners = object.spec.listeners.map((spec, index): ListenerEntry => {
      const verdict = judgeListener(spec, taken);
      if (!verdict.holds) {
        report('MW1401', object, {
          path: `spec.listeners[${index}]`,
          message: `listener ${spec.name}: ${verdict.message}`,
          hint: 'use protocol HTTP, or TLS with mode Passthrough, and each pair of port and hostname once',
        });
      }
      return { spec, verdict, hosts: new Map(), tlsRoutes: [], attachedRoutes: 0 };
    });
    const proxied = namesIn(object, annotations.proxyProtocol);
    for (const unknown of proxied) {
      if (listeners.some(({ spec }) => spec.name === unknown)) continue;
      report('MW1410', object, {
        path: `annotation ${annotations.proxyProtocol}`,
        message: `Gateway ${name} has no listener ${unknown}; its listeners: ${listeners.map(({ spec }) => spec.name).join(', ')}`,
        hint: 'name its listeners, separated by commas',
      });
    }
    const proxiedPorts = new Set(listeners.flatMap(({ spec }) => (proxied.has(spec.name) ? [spec.port] : [])));
    entries.set(name, { object, name, listeners, proxiedPorts, calls: new Set() });
  }
  return entries;
}

/** `taken` holds what the listeners before have, by port. */
function judgeListener({ protocol, port, hostname, tls }: ListenerSpec, taken: TakenPorts): Verdict {
  const unsupported = protocol === 'TLS' ? tls?.mode !== 'Passthrough' : protocol !== 'HTTP';
  if (unsupported) {
    const mode = protocol === 'TLS' ? ` with mode ${tls?.mode ?? 'Terminate'}` : '';
    return { holds: false, reason: 'UnsupportedProtocol', message: `protocol ${protocol}${mode} is not supported` };
  }
  const there = valueAt(taken, port, () => ({ protocol, hostnames: new Set<string>() }));
  if (there.protocol !== protocol) {
    const message = `another listener already has port ${port} with protocol ${there.protocol}`;
    return { holds: false, reason: 'ProtocolConflict', message };
  }
  const host = hostname ?? '*';
  if (there.hostnames.has(host)) {
    const message = `another listener already has port ${port} with hostname ${host}`;
    return { holds: false, reason: 'HostnameConflict', message };
  }
  there.hostnames.add(host);
  return accepted;
}

export function toGateway({ name, listeners, proxiedPorts }: GatewayEntry): Gateway {
  return {
    kind: 'gateway',
    name,
    listeners: listeners
      .filter(({ verdict }) => verdict.holds)
      .map(
        ({ spec: { name, port, protocol }, hosts, tlsRoutes }): GatewayListener => ({
          name,
          port,
          ...(proxiedPorts.has(port) ? { proxyProtocol: true } : {}),
          ...(protocol === 'TLS'
            ? { protocol: 'tls', tlsRoutes }
            : { protocol: 'http', virtualHosts: virtualHosts(hosts) }),
        }),
      ),
  };
}

/** One virtual host for all names that have the same rules. */
function virtualHosts(hosts: ReadonlyMap<string, readonly CompiledRule[]>): VirtualHost[] {
  const groups: { hostnames: string[]; rules: readonly CompiledRule[] }[] = [];
  for (const [hostname, rules] of [...hosts].sort(([a], [b]) => compareText(a, b))) {
    const same = groups.find(
      (group) => group.rules.length === rules.length && group.rules.every((rule, index) => rule === rules[index]),
    );
    if (same) same.hostnames.push(hostname);
    else groups.push({ hostnames: [hostname], rules });
  }
  return groups.map(({ hostnames, rules }) => ({ hostnames, rules: rules.map(({ rule }) => rule) }));
}

/** Call it when all routes are attached. */
export function gatewayStatuses(gateways: GatewayEntries, workloads: Workloads, report: Report): ObjectStatus[] {
  const served = new Set<QualifiedName>();
  for (const { namespace, gateway } of workloads.entries) {
    if (gateway) served.add(qualifiedName(namespace, gateway));
  }
  return [...gateways.values()].map(({ object, name, listeners }): ObjectStatus => {
    const hasWorkload = served.has(name);
    if (!hasWorkload) {
      report('MW1402', object, {
        message: `no workload has the label ${labels.gatewayName}: ${object.metadata.name}, so nothing listens`,
        hint: 'add a Deployment whose pod template carries the label',
      });
    }
    const programmed: Verdict = hasWorkload
      ? { holds: true, reason: 'Programmed' }
      : { holds: false, reason: 'Pending', message: 'no workload serves the gateway' };
    const valid = listeners.every(({ verdict }) => verdict.holds);
    const acceptance: Verdict = valid
      ? accepted
      : { holds: listeners.some(({ verdict }) => verdict.holds), reason: 'ListenersNotValid' };
    return {
      object: referenceTo(object),
      conditions: [condition(object, 'Accepted', acceptance), condition(object, 'Programmed', programmed)],
      listeners: listeners.map(({ spec, verdict, attachedRoutes }): ListenerStatus => {
        const conflict: Verdict = conflicts.includes(verdict.reason)
          ? { ...verdict, holds: true }
          : { holds: false, reason: 'NoConflicts' };
        return {
          name: spec.name,
          attachedRoutes,
          conditions: [
            condition(object, 'Accepted', verdict),
            condition(object, 'Conflicted', conflict),
            condition(object, 'ResolvedRefs', { holds: true, reason: 'ResolvedRefs' }),
            condition(object, 'Programmed', verdict.holds ? programmed : { ...verdict, reason: 'Invalid' }),
          ],
        };
      }),
    };
  });
}
