import { ApiObject } from 'cdk8s';
import type { IConstruct } from 'constructs';
import {
  abortStatus,
  type BreakerConsideration,
  type ClientDecision,
  type CorsDecision,
  createSnapshot,
  type Decision,
  decide,
  describeDetection,
  type FaultConsideration,
  type ForwardedRequest,
  forwardedTo,
  type MeshSnapshot,
  type ReceiverDecision,
  type SimulatedRequest,
} from '../../runtime/engine/index.ts';
import {
  describeReference,
  type Finding,
  FindingsError,
  type Hedging,
  type Mirror,
  type OutlierDetection,
  type QualifiedName,
  qualifiedName,
  type RateLimit,
  type Retry,
  type Timeouts,
} from '../../runtime/model/index.ts';
import { type KubernetesObject, parseObject } from '../../runtime/resources/index.ts';
import { standIns, translate } from '../../runtime/translate/index.ts';
import { Gateway, GatewayListener } from '../gateway.ts';
import type { ICaller, IService, IServicePort } from '../interfaces.ts';
import { validate } from '../synth/validate.ts';
import { existingServices } from './existing-services.ts';

/** A request to decide about. */
export interface SimulationRequest {
  /**
   * Who sends it: a service or one of its versions.
   * @default - a client outside of the mesh, without identity
   */
  readonly from?: ICaller;

  /**
   * Address of a client without identity, `203.0.113.7`: where it stands decides whether what it says of its own clients
   * counts (`strangers` of the Mesh). Not beside `from`.
   * @default - not known: what it says of them is removed
   */
  readonly client?: string;

  /** Where it is sent: a service, one of its ports, a gateway, or a URL such as `http://reviews:9080/reviews/1`. */
  readonly to: IService | IServicePort | Gateway | GatewayListener | string;

  /** @default 'GET' */
  readonly method?: string;

  /**
   * Path with query.
   * @default - the path of the URL, else `/`
   */
  readonly path?: string;

  /**
   * Header values by name. At a gateway, `host` says which host is asked for.
   * @default - none
   */
  readonly headers?: Readonly<Record<string, string>>;

  /**
   * The server that its TLS handshake names (SNI), for ports with a TLS route.
   * @default - the host of an `https:` URL, else none
   */
  readonly serverName?: string;
}

/** What happens to a request, and why. */
export interface Simulation {
  /** The first proxy sends the request on, redirects it, answers it (a preflight), or refuses it with an error. */
  readonly outcome: Decision['outcome'];
  /**
   * Status of the answer, where a proxy gives it: a redirect, a preflight's, an error, a fault that every try meets, or 403 where
   * every target denies it.
   */
  readonly status?: number;
  /** The route that decides: `HTTPRoute shop/reviews-canary`. Absent where none is attached. */
  readonly route?: string;
  /** The rule of the route that decides. */
  readonly rule?: string;
  /** With which probability it goes to which Kubernetes Service: `{ 'reviews-v1': 0.9, 'reviews-v2': 0.1 }`. */
  readonly targets: Readonly<Record<string, number>>;
  readonly access: AccessResult;
  /** The rate limits that count it, whichever target it goes to. */
  readonly limits: readonly RateLimit[];
  /** With which probability a try meets which fault: `{ slow: 0.1 }`. What is not named is not met. */
  readonly faults: Readonly<Record<string, number>>;
  /** The circuit breakers that have to let it through, whichever target it goes to. */
  readonly circuitBreakers: readonly BreakerConsideration[];
  /** By the target it can go to, when the sender leaves an endpoint of it alone. */
  readonly outlierDetection: Readonly<Record<string, OutlierDetection>>;
  readonly timeouts: Timeouts;
  readonly retry?: Retry;
  /** When a second try begins beside the first, where one does. */
  readonly hedging?: Hedging;
  readonly mirrors: readonly Mirror[];
  /** Of a redirect. */
  readonly location?: string;
  /** Whether a page of the request's `origin` may read the answer; absent where the rule says nothing of origins. */
  readonly cors?: CorsDecision;
  /** As the target sees it; where it has several, as the first of them does. Absent where it is not sent on. */
  readonly forwarded?: ForwardedRequest;
  /** The reasons, from the first proxy to the last: what decided, and why the other rules did not. */
  readonly why: readonly string[];
  /** All of it, as the engine says it. */
  readonly decision: Decision;
}

export interface AccessResult {
  /** Whether the request reaches an application, whichever target it goes to. */
  readonly allowed: boolean;
  /** Whether policy, or a call that was not declared, keeps it from every target. */
  readonly denied: boolean;
  /** The access rules that decided. */
  readonly rules: readonly string[];
  readonly reasons: readonly string[];
}

/**
 * Decides one request in a mesh as the proxies would, with the engine they run. Nothing is sent or written.
 *
 * @throws FindingsError where the tree has errors
 * @example
 * const request = { from: web, to: reviews, headers: { 'x-canary': 'always' } };
 * expect(simulate(shop, request)).toRouteTo(reviews.version('v3'));
 */
export function simulate(mesh: IConstruct, request: SimulationRequest): Simulation {
  return createSimulator(mesh)(request);
}

/** Like {@link simulate} for many requests: synthesises once. */
export function createSimulator(mesh: IConstruct): (request: SimulationRequest) => Simulation {
  const snapshot = snapshotOf(mesh);
  return (request) => {
    const simulated = toEngine(request, snapshot);
    return describe(decide(snapshot, simulated), simulated, snapshot);
  };
}

function snapshotOf(mesh: IConstruct): MeshSnapshot {
  const root = mesh.node.root;
  throwErrors(validate(root));
  const manifests: unknown[] = root.node
    .findAll()
    .filter((construct) => ApiObject.isApiObject(construct))
    .map((object) => object.toJson());
  const findings: Finding[] = [];
  const objects = [...manifests, ...existingServices(root)].flatMap((manifest): KubernetesObject[] => {
    const parsed = parseObject(manifest, 'synthesised');
    if (parsed.object) return [parsed.object];
    findings.push(...parsed.findings);
    return [];
  });
  const translation = translate([...objects, ...standIns(objects)]);
  throwErrors([...findings, ...translation.findings]);
  return createSnapshot(translation.resources);
}

function throwErrors(findings: readonly Finding[]): void {
  const errors = findings.filter(({ severity }) => severity === 'error');
  if (errors.length) throw new FindingsError(errors);
}

function toEngine(request: SimulationRequest, snapshot: MeshSnapshot): SimulatedRequest {
  const { from, client, to, method, headers } = request;
  const url = typeof to === 'string' ? new URL(to) : undefined;
  const serverName = request.serverName ?? (url?.protocol === 'https:' ? url.hostname : undefined);
  const path = request.path ?? (url ? url.pathname + url.search : undefined);
  const common = {
    method,
    headers,
    path,
    ...(client !== undefined && { client }),
    ...(serverName !== undefined && { serverName }),
  };
  if (url) return { ...common, from: from && workloadOf(from, snapshot), to: authorityOf(url) };
  if (to instanceof Gateway || to instanceof GatewayListener) {
    const parent = to._parent();
    const name = qualifiedName(parent.namespace, parent.ref.name);
    const listeners = snapshot.gateways.get(name)?.listeners ?? [];
    const { port = 80 } =
      listeners.find((listener) => [undefined, listener.name].includes(parent.ref.sectionName)) ?? {};
    const host = headers?.host?.replace(/:\d+$/, '') ?? parent.ref.name;
    return { ...common, gateway: name, to: `${host}:${port}` };
  }
  const { service, port = Object.values(service.ports)[0] } = (to as IService | IServicePort)._backend();
  return {
    ...common,
    from: from && workloadOf(from, snapshot),
    to: `${service.serviceName}.${service.namespace}:${port.port}`,
  };
}

function authorityOf({ protocol, host, port }: URL): string {
  return protocol === 'https:' && port === '' ? `${host}:443` : host;
}

/** The workload that has the identity of a caller. */
function workloadOf(caller: ICaller, snapshot: MeshSnapshot): QualifiedName {
  for (const principal of caller._principals()) {
    if (principal.kind !== 'service-account') continue;
    const { namespace, name } = principal.serviceAccount;
    for (const workload of snapshot.workloads.values()) {
      if (workload.namespace === namespace && workload.serviceAccount === name) return workload.name;
    }
  }
  throw new Error(
    `${caller._construct()?.node.path ?? 'the caller'} runs no workload of this mesh that could send a request`,
  );
}

function describe(decision: Decision, simulated: SimulatedRequest, snapshot: MeshSnapshot): Simulation {
  const { outcome, rule, connection, targets, timeouts, retry, hedging, mirrors, location, cors } = decision;
  const [forwarded] = targets.flatMap((target) => forwardedTo(target) ?? []);
  const access = accessOf(decision, simulated, snapshot);
  return {
    outcome,
    status: decision.status ?? abortStatus(decision) ?? (isForbidden(decision) ? 403 : undefined),
    ...(rule && rule.route.kind !== 'Service' && { route: describeReference(rule.route), rule: rule.name }),
    ...(connection?.route && { route: describeReference(connection.route) }),
    targets: Object.fromEntries(
      targets.map(({ target, probability }) => [target ? nameOf(target.service) : 'nowhere', probability]),
    ),
    access,
    limits: limitsOf(decision),
    faults: faultsOf(decision),
    circuitBreakers: breakersOf(decision),
    outlierDetection: detectionsOf(decision),
    timeouts,
    retry,
    ...(hedging && { hedging }),
    mirrors,
    location,
    cors,
    forwarded,
    why: reasonsOf(decision),
    decision,
  };
}

function accessOf(decision: Decision, simulated: SimulatedRequest, snapshot: MeshSnapshot): AccessResult {
  const calls = simulated.from === undefined ? 'all' : snapshot.workloads.get(simulated.from)?.calls;
  const asked = decision.service?.service;
  if (calls && calls !== 'all' && asked && !calls.includes(asked)) {
    return { allowed: false, denied: true, rules: [], reasons: [decision.reason] };
  }
  const receivers = decision.targets.flatMap((target) => target.receivers);
  const rules = receivers.flatMap(({ access }) => access?.decision.rule?.name ?? []);
  return {
    // Probabilities are sums of fractions.
    allowed: decision.delivered > 1 - 1e-9,
    denied: receivers.length > 0 && receivers.every(({ allowed }) => !allowed),
    rules: [...new Set(rules)],
    reasons: [...new Set(receivers.map(({ reason }) => reason))],
  };
}

/** Every version of a service has the limits of the service: each is named once. */
function limitsOf({ targets }: Decision): readonly RateLimit[] {
  const considered = targets.flatMap(({ receivers }) => receivers.flatMap(({ limits = [] }) => limits));
  const counted = considered.filter(({ counted }) => counted);
  return [...new Map(counted.map(({ policy, limit }) => [describeReference(policy) + limit.name, limit])).values()];
}

function faultsOf({ targets }: Decision): Record<string, number> {
  const shares: Record<string, number> = {};
  for (const { probability: share, faults = [] } of targets) {
    for (const { fault, probability } of faults) {
      if (probability > 0) shares[fault.name] = (shares[fault.name] ?? 0) + share * probability;
    }
  }
  return shares;
}

/** Those of the rule hold for every target: each is named once. */
function breakersOf({ targets }: Decision): readonly BreakerConsideration[] {
  const breakers = targets.flatMap(({ circuitBreakers = [] }) => circuitBreakers);
  return [...new Map(breakers.map((breaker) => [breaker.target, breaker])).values()];
}

function detectionsOf({ targets }: Decision): Record<string, OutlierDetection> {
  return Object.fromEntries(
    targets.flatMap(({ target, outlierDetection }) =>
      outlierDetection ? [[nameOf(target!.service), outlierDetection]] : [],
    ),
  );
}

/** Whether every receiver answers 403. Without a certificate there is no connection and so no answer. */
function isForbidden({ targets }: Decision): boolean {
  const receivers = targets.flatMap(({ request, receivers }) => (request ? receivers : []));
  return receivers.length > 0 && receivers.every(({ allowed, access }) => !allowed && access);
}

function reasonsOf(decision: Decision): readonly string[] {
  const { reason, route, client, cors, targets } = decision;
  const others = (route?.considered ?? []).filter(({ verdict }) => verdict !== 'decided');
  return [
    reason,
    ...describeClient(client),
    ...(cors ? [`cors: ${cors.reason}`] : []),
    ...others.map(({ rule, reason }) => `not ${rule.name} of ${describeReference(rule.route)}: ${reason}`),
    ...breakersOf(decision).map(
      (breaker) => `${describeReference(breaker.policy)} limits ${breaker.target}: ${breaker.reason}`,
    ),
    ...targets.flatMap(({ target, problem, balancing, outlierDetection, receivers, faults = [] }) => [
      ...(problem ? [`${target?.service ?? 'a target'}: ${problem}`] : []),
      ...(balancing?.balancer.policy ? [`endpoint of ${target?.service}: ${balancing.reason}`] : []),
      ...(outlierDetection
        ? [
            `endpoints of ${target?.service} are judged by ${describeReference(outlierDetection.policy)}: ${describeDetection(outlierDetection)}`,
          ]
        : []),
      ...faults.map((fault) => describeFault(fault)),
      ...receivers.flatMap((receiver) => [
        describeReceiver(receiver),
        ...describeClient(receiver.client),
        ...describeLimits(receiver),
      ]),
    ]),
  ];
}

function describeClient(client: ClientDecision | undefined): string[] {
  return client ? [`client ${client.address}: ${client.reason}`] : [];
}

function describeReceiver({ workload, allowed, reason }: ReceiverDecision): string {
  return `${workload ?? 'a workload outside of the mesh'} ${allowed ? 'allows' : 'denies'} it: ${reason}`;
}

function describeFault({ policy, fault, probability, reason }: FaultConsideration): string {
  const met = probability > 0 ? `met by ${Number((probability * 100).toFixed(2))} % of the tries` : 'not met';
  return `fault ${fault.name} of ${describeReference(policy)} is ${met}: ${reason}`;
}

function describeLimits({ workload, limits = [] }: ReceiverDecision): string[] {
  return limits.map(({ policy, limit, counted, reason }) => {
    const verb = counted ? 'counts it' : 'does not count it';
    return `${workload} ${verb} for ${limit.name} of ${describeReference(policy)}: ${reason}`;
  });
}

function nameOf(name: QualifiedName): string {
  return name.slice(name.indexOf('/') + 1);
}
