import * as z from 'zod';
import { bootstrapVariable } from '../model/index.ts';
import type { ContainerView, HttpGetView, ProbeView } from './pod-view.ts';
import { proxyPorts } from './settings.ts';

/** A probe of the app that its proxy makes, as its bootstrap document has it. */
type ProbeTarget = z.infer<typeof probeTarget>;

const probeTarget = z.object({
  kind: z.enum(['http', 'tcp', 'grpc']),
  port: z.number(),
  path: z.string().optional(),
  scheme: z.literal('HTTPS').optional(),
  headers: z.array(z.tuple([z.string(), z.string()])).optional(),
  service: z.string().optional(),
  timeoutMs: z.number(),
});

export type ProbeTargets = Readonly<Record<string, ProbeTarget>>;

type Raw = Readonly<Record<string, unknown>>;

const probes = { livenessProbe: 'liveness', readinessProbe: 'readiness', startupProbe: 'startup' } as const;
const hooks = { postStart: 'post-start', preStop: 'pre-stop' } as const;
const prefix = '/probe/';
/** Kubernetes waits for hooks as long as it takes; so long takes none that works. Milliseconds. */
const hookTimeout = 600_000;

/**
 * Leads the probes of a container to its proxy, which makes them in the kubelet's place: the kubelet has no identity of
 * the mesh. The same for hooks, which are requests of the kubelet, too. Probes of other hosts stay as they are.
 *
 * @param known - targets of probes that were rewritten before
 */
export function rewriteProbes(
  raw: Raw,
  view: ContainerView,
  known: ProbeTargets,
): { readonly container: Raw; readonly targets: ProbeTargets } {
  const targets: Record<string, ProbeTarget> = {};
  const lead = (action: Raw, http: HttpGetView | undefined, path: string, target: ProbeTarget | undefined): Raw => {
    const before = http && rewrittenBefore(http);
    if (before !== undefined) {
      if (known[before]) targets[before] = known[before];
      return action;
    }
    if (!target) return action;
    targets[path] = target;
    const { httpGet: _http, tcpSocket: _tcp, grpc: _grpc, ...rest } = action;
    return { httpGet: { path: `${prefix}${path}`, port: proxyPorts.admin }, ...rest };
  };

  const container: Record<string, unknown> = { ...raw };
  for (const [field, name] of Object.entries(probes) as [keyof typeof probes, string][]) {
    const probe = view[field];
    if (!probe) continue;
    container[field] = lead(raw[field] as Raw, probe.httpGet, `${view.name}/${name}`, targetOf(probe, view));
  }
  const lifecycle: Record<string, unknown> = { ...(raw.lifecycle as Raw | undefined) };
  for (const [field, name] of Object.entries(hooks) as [keyof typeof hooks, string][]) {
    const http = view.lifecycle?.[field]?.httpGet;
    if (!http) continue;
    lifecycle[field] = lead(lifecycle[field] as Raw, http, `${view.name}/${name}`, httpTarget(http, view, hookTimeout));
    container.lifecycle = lifecycle;
  }
  return { container, targets };
}

/** The targets of probes in the proxy that a pod has already. */
export function knownTargets(proxy: ContainerView | undefined): ProbeTargets {
  const text = proxy?.env?.find(({ name }) => name === bootstrapVariable)?.value;
  try {
    return z.object({ probes: z.record(z.string(), probeTarget) }).parse(JSON.parse(text ?? '')).probes;
  } catch {
    // No proxy yet, or a document that somebody else wrote.
    return {};
  }
}

function rewrittenBefore({ path, port }: HttpGetView): string | undefined {
  return port === proxyPorts.admin && path?.startsWith(prefix) ? path.slice(prefix.length) : undefined;
}

function targetOf(probe: ProbeView, container: ContainerView): ProbeTarget | undefined {
  const { httpGet, tcpSocket, grpc, timeoutSeconds } = probe;
  const timeoutMs = (timeoutSeconds || 1) * 1000;
  if (httpGet) return httpTarget(httpGet, container, timeoutMs);
  if (grpc) return { kind: 'grpc', port: grpc.port, ...(grpc.service && { service: grpc.service }), timeoutMs };
  const port = tcpSocket && !tcpSocket.host ? numberOf(tcpSocket.port, container) : undefined;
  return port === undefined ? undefined : { kind: 'tcp', port, timeoutMs };
}

function httpTarget(http: HttpGetView, container: ContainerView, timeoutMs: number): ProbeTarget | undefined {
  const port = http.host ? undefined : numberOf(http.port, container);
  if (port === undefined) return undefined;
  return {
    kind: 'http',
    port,
    ...(http.path && { path: http.path }),
    ...(http.scheme === 'HTTPS' && { scheme: http.scheme }),
    ...(http.httpHeaders?.length && {
      headers: http.httpHeaders.map(({ name, value }): [string, string] => [name, value]),
    }),
    timeoutMs,
  };
}

/** As the kubelet finds it; a name that no port has is left to it to complain about. */
function numberOf(port: number | string, { ports = [] }: ContainerView): number | undefined {
  if (typeof port === 'number') return port;
  return ports.find(({ name }) => name === port)?.containerPort ?? (/^\d{1,5}$/.test(port) ? Number(port) : undefined);
}
