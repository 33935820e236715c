import {
  type BackendTarget,
  type Clock,
  connectionRoutesFor,
  defaultBalancer,
  defaultRetryBudget,
  describeReference,
  type Endpoint,
  formatSpiffeId,
  type HttpRule,
  identityAt,
  rulesFor,
  type SpiffeId,
  type Timeouts,
  type WeightedBackend,
  type Workload,
} from '../model/index.ts';
import { compileAccess } from './access.ts';
import { totalWeight } from './backend.ts';
import { explainBreakers } from './circuit-breaker.ts';
import { admit, decideClient } from './clients.ts';
import { type ConnectionRouter, compileConnections } from './connection-router.ts';
import type { CompiledCors } from './cors.ts';
import type { CorsDecision, Decision, ReceiverDecision, SimulatedRequest, TargetDecision } from './decision.ts';
import { explainAccess, explainRoute } from './explain.ts';
import { compileFaults, explainFaults, type FaultConsideration, faultyTargets } from './fault.ts';
import { applyHeaderChange } from './headers.ts';
import { compileKey, createBalancer, explainBalancing } from './load-balancing/index.ts';
import { formatTarget, normalizePath } from './path.ts';
import { type PreflightMatch, routePreflight } from './preflight.ts';
import { compileRateLimits, explainRateLimits, type RateLimitRequest } from './rate-limit.ts';
import { type HttpRequest, headerValue, hostOf, portOf } from './request.ts';
import { isIdempotent } from './retry.ts';
import { redirectLocation, rewritePath } from './rewrite.ts';
import type { Router } from './router.ts';
import { compileListeners, compileServicePort, hostsOf } from './service.ts';
import type { MeshSnapshot } from './snapshot.ts';
import { nearestTimeouts, sameTimeouts } from './timeouts.ts';
import { toWire } from './wire-text.ts';

const defaultPort = 80;
/** Where a request would go does not depend on when it is sent. */
const standstill: Clock = { now: () => 0, wallTime: () => 0, schedule: () => ({ cancel: () => {} }) };

/**
 * Decides a request at both ends without sending it, from everything the mesh knows: what the sender's proxy does
 * with it, with which probability it goes where, and what the receivers' proxies say.
 */
export function decide(mesh: MeshSnapshot, simulated: SimulatedRequest): Decision {
  return simulated.gateway === undefined ? decideAtSender(mesh, simulated) : decideAtGateway(mesh, simulated);
}

function decideAtSender(mesh: MeshSnapshot, simulated: SimulatedRequest): Decision {
  const sender = simulated.from === undefined ? undefined : mesh.workloads.get(simulated.from);
  if (simulated.from !== undefined && !sender) throw unknown('workload', simulated.from, mesh.workloads);
  const host = hostOf(simulated.to);
  const service = [...mesh.services.values()].find((each) => hostsOf(each, sender?.namespace).includes(host));
  const number = portOf(simulated.to) ?? defaultPort;
  if (!service) return refuse(502, `no service has the host name ${host}`);
  const port = service.ports.find((each) => each.port === number);
  if (!port) return refuse(502, `service ${service.name} has no port ${number}`);
  const target: BackendTarget = { service: service.name, port: number };
  if (sender && sender.calls !== 'all' && !sender.calls.includes(service.name)) {
    return { ...refuse(502, `${sender.name} does not declare that it calls ${service.name}`), service: target };
  }
  const principal = sender && principalOf(sender);
  const source = principal && formatSpiffeId(principal);
  const caller: Caller = { mesh, principal, source, client: simulated.client, zone: sender?.zone, asked: target };
  if (port.protocol === 'tcp') {
    // Without a proxy nobody follows a route.
    const connections = compileConnections(sender ? connectionRoutesFor(port, sender.namespace) : {}, target);
    return { ...decideConnection(caller, connections, simulated), service: target };
  }
  const rules = sender ? rulesFor(port, sender.namespace) : [];
  const router = compileServicePort(service.name, { ...port, rules });
  return { ...decideHttp(caller, router, simulated), service: target };
}

function decideAtGateway(mesh: MeshSnapshot, simulated: SimulatedRequest): Decision {
  const gateway = mesh.gateways.get(simulated.gateway!);
  if (!gateway) throw unknown('gateway', simulated.gateway!, mesh.gateways);
  const port = portOf(simulated.to) ?? defaultPort;
  const listener = compileListeners(gateway).get(port);
  if (!listener) return refuse(502, `gateway ${gateway.name} does not listen on port ${port}`);
  const proxy = [...mesh.workloads.values()].find((workload) => workload.gateway === gateway.name);
  if (!proxy) return refuse(502, `no workload is the proxy of gateway ${gateway.name}`);
  const proxied = gateway.listeners.some((each) => each.port === port && each.proxyProtocol);
  const client = decideClient(simulated.client, proxy.strangers, proxied);
  const caller = { mesh, principal: principalOf(proxy), source: client?.address, zone: proxy.zone };
  const underscores = proxy.strangers?.underscores === 'keep';
  const decision =
    listener.protocol === 'tls'
      ? decideConnection(caller, listener.connections, simulated)
      : decideHttp(caller, listener.router, simulated, (request) => admit(request, client, underscores));
  return { ...decision, ...(client && { client }) };
}

/** Who sends to the receivers. */
interface Caller {
  readonly mesh: MeshSnapshot;
  readonly principal: SpiffeId | undefined;
  /** By which its requests are hashed; a gateway takes the address of its client, where that is known. */
  readonly source?: string;
  /** Its address where it has no identity, as far as that is known. */
  readonly client?: string;
  readonly zone?: string;
  /** What they were sent to; absent at a gateway, and where no proxy sends them. */
  readonly asked?: BackendTarget;
}

function decideHttp(
  caller: Caller,
  router: Router,
  simulated: SimulatedRequest,
  taken = (request: HttpRequest) => request,
): Decision {
  const said = toRequest(simulated);
  if (!said) return refuse(400, `the path ${simulated.path} is malformed`);
  const request = taken(said);
  const preflight = routePreflight(router, request);
  if (preflight) return decidePreflight(router, preflight);
  const route = explainRoute(router, request);
  if (!route.decided) return { ...refuse(404, 'no rule matches'), route };
  const { rule, match, cors } = route.decided;
  const { timeouts, retry, hedging, mirrors, action } = rule;
  const decided = {
    ...{ rule, match, route, timeouts, retry, mirrors },
    ...(hedging && isIdempotent(request.method) && { hedging }),
    ...(cors && { cors: decideOrigin(cors, headerValue(request.headers, 'origin')) }),
  };
  const by = `by rule ${rule.name} of ${describeReference(rule.route)}`;
  if (action.kind === 'redirect') {
    const location = redirectLocation({ ...request, scheme: 'http' }, action.redirect, match);
    const { status } = action.redirect;
    return { ...decided, outcome: 'redirect', status, reason: `redirected ${by}`, location, targets: [], delivered: 0 };
  }
  const total = totalWeight(action.backends);
  if (total === 0) return { ...decided, ...refuse(500, 'the rule has no backend with a weight') };
  const targets = action.backends
    .filter(({ weight }) => weight > 0)
    .map((backend): TargetDecision => {
      const forwarded = forward(request, backend, rule, rewritePath(request.path, rule.rewrite?.path, match));
      return decideTarget(caller, backend, backend.weight / total, rule, request, forwarded);
    });
  return {
    ...decided,
    outcome: 'forward',
    reason: `forwarded ${by}`,
    timeouts: commonTimeouts(targets) ?? timeouts,
    targets,
    delivered: deliveredTo(targets),
  };
}

/** `undefined` where they depend on where it goes. */
function commonTimeouts([first, ...others]: readonly TargetDecision[]): Timeouts | undefined {
  const { timeouts } = first;
  return timeouts && others.every((other) => other.timeouts && sameTimeouts(other.timeouts, timeouts))
    ? timeouts
    : undefined;
}

/** A browser asks ahead of a request whether it may send it; nothing is sent on. */
function decidePreflight(router: Router, { found, request }: PreflightMatch): Decision {
  const { rule, match } = found;
  const route = explainRoute(router, request);
  const cors = decideOrigin(found.cors, headerValue(request.headers, 'origin'), request.headers);
  const decided = { rule, match, route, cors, timeouts: {}, mirrors: [], targets: [], delivered: 0 };
  const by = `by rule ${rule.name} of ${describeReference(rule.route)}`;
  return cors.allowed
    ? { ...decided, outcome: 'answer', status: 204, reason: `preflight answered ${by}` }
    : { ...decided, outcome: 'refuse', status: 403, reason: `preflight refused ${by}: ${cors.reason}` };
}

function decideOrigin(cors: CompiledCors, origin: string | undefined, preflight?: readonly string[]): CorsDecision {
  if (origin === undefined) {
    return { allowed: false, reason: 'the request names no origin', fields: cors.respond(undefined, []) };
  }
  const allowed = cors.allows(origin);
  const fields = allowed && preflight ? cors.preflight(preflight) : cors.respond(origin, []);
  return { origin, allowed, reason: `origin ${origin} is ${allowed ? '' : 'not '}allowed`, fields };
}

function decideConnection(caller: Caller, connections: ConnectionRouter, simulated: SimulatedRequest): Decision {
  const serverName = simulated.serverName?.toLowerCase();
  const connection = connections.route(serverName);
  if (!connection) {
    return refuse(undefined, `closed: no TLSRoute is for ${serverName ?? 'a connection that names no server'}`);
  }
  const { route, backends, serverName: matched } = connection;
  const why = matched === undefined ? '' : `, which is for ${matched}`;
  const by = route ? ` by ${describeReference(route)}${why}` : '';
  const total = totalWeight(backends);
  if (total === 0) return { ...refuse(undefined, `closed${by}: it has no backend with a weight`), connection };
  const targets = backends
    .filter(({ weight }) => weight > 0)
    .map((backend) => decideTarget(caller, backend, backend.weight / total, undefined, undefined, undefined));
  const reason = `forwarded as a stream of bytes${by}`;
  return {
    outcome: 'forward',
    reason,
    connection,
    timeouts: {},
    mirrors: [],
    targets,
    delivered: deliveredTo(targets),
  };
}

function decideTarget(
  caller: Caller,
  backend: WeightedBackend,
  probability: number,
  rule: HttpRule | undefined,
  asked: HttpRequest | undefined,
  request: HttpRequest | undefined,
): TargetDecision {
  const { target } = backend;
  const requestHeaders = stated([rule?.requestHeaders, backend.requestHeaders]);
  const responseHeaders = stated([backend.responseHeaders, rule?.responseHeaders]);
  const common = { probability, target, requestHeaders, responseHeaders };
  if (!target) return { ...common, status: 500, problem: backend.problem ?? 'it does not exist', receivers: [] };
  const service = caller.mesh.services.get(target.service);
  const port = service?.ports.find((each) => each.port === target.port);
  const settings = service?.balancer ?? defaultBalancer;
  const balancer = createBalancer(settings, () => 0, standstill, { zone: caller.zone });
  const retryBudget = service?.retryBudget ?? defaultRetryBudget;
  const endpoints = caller.mesh.endpoints.get(target.service)?.endpoints ?? [];
  balancer.update(endpoints.filter(({ ports }) => ports[target.port] !== undefined));
  if (balancer.endpoints.length === 0) {
    return { ...common, status: 503, problem: `${target.service}:${target.port} has no ready endpoint`, receivers: [] };
  }
  const faults = request && faultsOf(caller, target, request.headers);
  const key = compileKey(settings)?.(asked, caller.source);
  const balancing = explainBalancing(settings, balancer, key, caller.zone);
  const groups = Map.groupBy(balancer.shares(key), ([{ endpoint }]) =>
    JSON.stringify([
      endpoint.workload,
      identityAt(endpoint, endpoint.ports[target.port]) !== undefined,
      endpoint.ports[target.port],
    ]),
  );
  const receivers = Array.from(groups.values(), (group) => {
    const [{ endpoint }] = group[0];
    const share = group.reduce((sum, [, each]) => sum + each, 0);
    return {
      ...decideReceiver(caller, endpoint, endpoint.ports[target.port], request),
      probability: probability * share,
    };
  });
  // Where the sender has no proxy, nothing is limited, and nobody is judged.
  const breakers = caller.principal ? explainBreakers(rule, target, port?.circuitBreaker) : [];
  const outlierDetection = caller.principal && port?.outlierDetection;
  const timeouts = rule && nearestTimeouts(rule.timeouts, caller.principal && port?.timeouts, timeoutsAsked(caller));
  return {
    ...common,
    request,
    retryBudget,
    balancing,
    ...(breakers.length && { circuitBreakers: breakers }),
    ...(outlierDetection && { outlierDetection }),
    ...(timeouts && { timeouts }),
    ...(faults?.length && { faults }),
    receivers,
  };
}

function stated<T>(each: readonly (T | undefined)[]): readonly T[] {
  return each.filter((one) => one !== undefined);
}

function timeoutsAsked({ mesh, principal, asked }: Caller): Timeouts | undefined {
  if (!principal || !asked) return undefined;
  return mesh.services.get(asked.service)?.ports.find(({ port }) => port === asked.port)?.timeouts;
}

/** Those of the service that was asked for come first, then those of the one it is sent to. */
function faultsOf(
  { mesh, asked, principal }: Caller,
  target: BackendTarget,
  headers: readonly string[],
): readonly FaultConsideration[] {
  // Where the sender has no proxy, nothing meets a fault.
  if (!principal) return [];
  const considered: FaultConsideration[] = [];
  for (const { service, port } of faultyTargets(asked, target)) {
    const ports = mesh.services.get(service)?.ports ?? [];
    const injector = compileFaults(ports.find((each) => each.port === port)?.faults);
    const share = considered.reduce((left, { probability }) => left - probability, 1);
    if (injector) considered.push(...explainFaults(injector, headers, share));
  }
  return considered;
}

function decideReceiver(
  { mesh, principal, client: address }: Caller,
  endpoint: Endpoint,
  port: number,
  request: HttpRequest | undefined,
): Omit<ReceiverDecision, 'probability'> {
  const { workload: name } = endpoint;
  const hasProxy = identityAt(endpoint, port) !== undefined;
  const mtls = principal !== undefined && hasProxy;
  const workload = name === undefined ? undefined : mesh.workloads.get(name);
  const common = { workload: name, mtls };
  if (!hasProxy) {
    const reason =
      endpoint.identity === undefined ? 'it has no sidecar' : `port ${port} is left out of its redirection`;
    return { ...common, allowed: true, reason: `${reason}, so nothing is checked` };
  }
  if (!workload) return { ...common, allowed: false, reason: `its workload ${name ?? ''} is not known` };
  const inbound = workload.ports.find((each) => each.port === port);
  if (!inbound) return { ...common, allowed: false, reason: `${workload.name} has no port ${port}` };
  if (!principal && (inbound.mtls ?? workload.mtls) === 'strict') {
    return { ...common, allowed: false, reason: 'plain text is not accepted: mutual TLS is strict' };
  }
  const client = principal ? undefined : decideClient(address, workload.strangers, inbound.proxyProtocol);
  const sent = inbound.protocol === 'tcp' ? undefined : request;
  const admitted = sent && !principal ? admit(sent, client, true) : undefined;
  const asked: RateLimitRequest = sent
    ? {
        principal,
        method: sent.method,
        path: normalizePath(formatTarget(sent)),
        headers: (admitted ?? sent).headers,
      }
    : { principal };
  const access = explainAccess(compileAccess(workload.access, inbound), asked);
  const { allowed, reason } = access.decision;
  const limiter = compileRateLimits(workload.rateLimits ?? [], [inbound], standstill).get(port);
  return {
    ...common,
    ...(client && { client }),
    ...(admitted && { request: admitted }),
    allowed,
    reason,
    access,
    ...(allowed && limiter && { limits: explainRateLimits(limiter, asked) }),
  };
}

function forward(request: HttpRequest, backend: WeightedBackend, rule: HttpRule, path: string): HttpRequest {
  const headers = applyHeaderChange([...request.headers], rule.requestHeaders);
  return {
    ...request,
    path,
    authority: rule.rewrite?.host ?? request.authority,
    headers: applyHeaderChange(headers, backend.requestHeaders),
  };
}

function toRequest({ method = 'GET', to, path = '/', headers = {} }: SimulatedRequest): HttpRequest | undefined {
  const target = normalizePath(path);
  if (!target) return undefined;
  const list = Object.entries(headers).flatMap(([name, value]) =>
    [value].flat().flatMap((each) => [name.toLowerCase(), toWire(each)]),
  );
  return { method, authority: to.toLowerCase(), path: target.path, query: toWire(target.query), headers: list };
}

function principalOf({ trustDomain, namespace, serviceAccount }: Workload): SpiffeId {
  return { trustDomain, namespace, serviceAccount };
}

function deliveredTo(targets: readonly TargetDecision[]): number {
  const allowed = targets.flatMap(({ receivers }) => receivers.filter((receiver) => receiver.allowed));
  return allowed.reduce((sum, { probability }) => sum + probability, 0);
}

function refuse(status: number | undefined, reason: string): Decision {
  return {
    outcome: 'refuse',
    ...(status !== undefined && { status }),
    reason,
    timeouts: {},
    mirrors: [],
    targets: [],
    delivered: 0,
  };
}

function unknown(kind: string, name: string, known: ReadonlyMap<string, unknown>): Error {
  return new Error(`unknown ${kind} ${name}; known: ${[...known.keys()].sort().join(', ') || 'none'}`);
}
