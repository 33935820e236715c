import {
  applyHeaderChange,
  type CompiledCors,
  chooseBackend,
  faultyTargets,
  formatTarget,
  headerValue,
  type NormalizedPath,
  nearestTimeouts,
  normalizePath,
  type PreflightMatch,
  type RouteMatch,
  type Router,
  redirectLocation,
  rewritePath,
  routePreflight,
} from '../engine/index.ts';
import type { BackendTarget, HttpRule, Timeouts, WeightedBackend } from '../model/index.ts';
import type { RequestHead, RequestReceiver, ServerStream } from '../net/index.ts';
import type { Cluster, Clusters } from './cluster.ts';
import { Exchange } from './exchange.ts';
import type { ChangeResponse, ProxyContext } from './exchange-plan.ts';
import { answerLocally, respondLocally } from './local-answer.ts';
import type { MeshView } from './mesh-view.ts';
import { isMirrored, MirroringReceiver, Mirrors } from './mirror.ts';
import type { LocalReply } from './reply.ts';
import { type DrawFault, nameOfRule, RoutePlan } from './route-plan.ts';

/** Where a request is routed: the rules, and names for metrics and errors. */
export interface RoutingScope {
  readonly direction: 'outbound' | 'gateway';
  readonly router: Router;
  /** The service or gateway whose rules these are. */
  readonly service: string;
  /** The port of the service; absent at a gateway. */
  readonly port?: number;
  /** This proxy's own workload, as metrics name it. */
  readonly source: string;
  readonly listenerPort?: number;
}

export const malformedPath: LocalReply = {
  status: 400,
  error: 'http_request_error',
  details: 'the path is malformed',
};

/** Routes requests by the engine's decision and starts their exchanges. */
export class Routing {
  readonly #context: ProxyContext;
  readonly #clusters: Clusters;
  readonly #view: MeshView;
  readonly #mirroring: Mirrors;
  /** Plans live as long as the rules they are made of. */
  readonly #plans = new WeakMap<HttpRule, Map<WeightedBackend, RoutePlan>>();
  /** Request ids: what tells this process from others, and a count. */
  readonly #idPrefix: string;
  #requests = 0;

  constructor(context: ProxyContext, clusters: Clusters, view: MeshView) {
    this.#context = context;
    this.#clusters = clusters;
    this.#view = view;
    this.#mirroring = new Mirrors(context);
    this.#idPrefix = Math.floor(context.random() * 2 ** 52).toString(36);
  }

  /** `caller` names who sent the request, for the access log. */
  handle(scope: RoutingScope, head: RequestHead, stream: ServerStream, end: boolean, caller: string): RequestReceiver {
    const target = normalizePath(head.path);
    if (!target) return answerLocally(this.#context, scope, head, stream, malformedPath, caller);
    const { path, query } = target;
    const request = { method: head.method, authority: head.authority, path, query, headers: head.headers };
    const preflight = head.method === 'OPTIONS' ? routePreflight(scope.router, request) : undefined;
    if (preflight) return this.#answerPreflight(scope, preflight.found, head, stream, caller);
    const found = scope.router.route(request);
    if (!found) {
      const details = `no route of ${scope.service} matches ${head.method} ${path}`;
      const reply = { status: 404, error: 'destination_not_found' as const, details };
      return answerLocally(this.#context, scope, head, stream, reply, caller);
    }
    const { rule, cors } = found;
    const change = cors && responseChange(cors, head);
    if (rule.action.kind === 'redirect') {
      const { redirect } = rule.action;
      const from = { scheme: head.scheme, authority: head.authority, path, query, listenerPort: scope.listenerPort };
      const headers = ['location', redirectLocation(from, redirect, found.match), 'content-length', '0'];
      const answer = { status: redirect.status, headers: change ? change(headers) : headers };
      return respondLocally(this.#context, { ...scope, route: nameOfRule(rule) }, head, stream, answer, caller);
    }

    const backend = chooseBackend(rule, this.#context.random);
    if (!backend?.target) {
      const route = nameOfRule(rule);
      const details = `${route}: ${backend?.problem ?? 'no backend has a weight'}`;
      const reply = { status: 500, error: 'destination_not_found' as const, details, headers: change?.([]) };
      return answerLocally(this.#context, { ...scope, route }, head, stream, reply, caller);
    }
    this.#change(head, target, found, backend);
    const plan = this.#plan(scope, rule, backend);
    const key = plan.keyOf(request, caller);
    const exchange = new Exchange(this.#context, plan, stream, head, end, caller, key, change);
    // What an upgrade becomes cannot be had twice.
    const mirrored = rule.mirrors.length === 0 || head.upgrade !== undefined ? [] : this.#mirrors(rule);
    if (mirrored.length === 0) return exchange.start();
    const mirror = new MirroringReceiver(
      exchange.start(),
      this.#mirroring,
      mirrored,
      head,
      this.#context.limits.replayBytes,
    );
    if (end) mirror.send(undefined);
    else exchange.onceOver = () => mirror.drop();
    return mirror;
  }

  /** Browsers are told whether they may send a request; the target hears nothing of it. */
  #answerPreflight(
    scope: RoutingScope,
    { rule, cors }: PreflightMatch['found'],
    head: RequestHead,
    stream: ServerStream,
    caller: string,
  ): RequestReceiver {
    const place = { ...scope, route: nameOfRule(rule) };
    const origin = headerValue(head.headers, 'origin')!;
    if (cors.allows(origin)) {
      const answer = { status: 204, headers: cors.preflight(head.headers) };
      return respondLocally(this.#context, place, head, stream, answer, caller);
    }
    const details = `${place.route} does not allow origin ${origin}`;
    const headers = cors.respond(origin, []);
    const reply = { status: 403, error: 'http_request_denied' as const, details, headers };
    return answerLocally(this.#context, place, head, stream, reply, caller);
  }

  #change(head: RequestHead, target: NormalizedPath, { rule, match }: RouteMatch, backend: WeightedBackend): void {
    head.headers = applyHeaderChange(applyHeaderChange(head.headers, rule.requestHeaders), backend.requestHeaders);
    const path = rule.rewrite ? rewritePath(target.path, rule.rewrite.path, match) : target.path;
    head.path = formatTarget({ path, query: target.query });
    if (rule.rewrite?.host !== undefined) head.authority = rule.rewrite.host;
    // Without a host (HTTP/1.0), the backend is at least told its own.
    if (head.authority === '') head.authority = hostOfTarget(backend.target!);
    if (headerValue(head.headers, 'x-request-id') === undefined) {
      head.headers.push('x-request-id', `${this.#idPrefix}-${this.#requests++}`);
    }
  }

  #plan(scope: RoutingScope, rule: HttpRule, backend: WeightedBackend): RoutePlan {
    let plans = this.#plans.get(rule);
    if (!plans) {
      plans = new Map();
      this.#plans.set(rule, plans);
    }
    let plan = plans.get(backend);
    if (!plan) {
      const cluster = this.#clusters.get(backend.target!);
      const faults = this.#faultsOn(scope, backend.target!);
      const timeouts = this.#timeoutsOf(scope, rule, backend.target!);
      const breakers = this.#view.breakers.ofRule(rule);
      plan = new RoutePlan(this.#context, scope, rule, backend, cluster, { faults, timeouts, breakers });
      plans.set(backend, plan);
    }
    return plan;
  }

  /** Looked up for each try: faults come and go while the rule stays. */
  #faultsOn({ service, port }: RoutingScope, backend: BackendTarget): DrawFault {
    const view = this.#view;
    const { random } = this.#context;
    const targets = faultyTargets(port === undefined ? undefined : { service, port }, backend);
    return (headers) => {
      if (!view.hasFaults) return undefined;
      for (const target of targets) {
        const drawn = view.faults(target)?.draw(headers, random);
        if (drawn) return drawn;
      }
      return undefined;
    };
  }

  /** Looked up when services have changed: their limits come and go while the rule stays. */
  #timeoutsOf({ service, port }: RoutingScope, rule: HttpRule, target: BackendTarget): () => Timeouts {
    const view = this.#view;
    let timeouts = rule.timeouts;
    let revision: number | undefined;
    return () => {
      if (revision === view.revision) return timeouts;
      revision = view.revision;
      const asked = port === undefined ? undefined : view.timeouts({ service, port });
      timeouts = nearestTimeouts(rule.timeouts, view.timeouts(target), asked);
      return timeouts;
    };
  }

  #mirrors(rule: HttpRule): Cluster[] {
    return rule.mirrors
      .filter((mirror) => isMirrored(mirror, this.#context.random))
      .map((mirror) => this.#clusters.get(mirror.target));
  }
}

/** The request's own words are read now: a rule may change them before it is sent on. */
function responseChange(cors: CompiledCors, { headers }: RequestHead): ChangeResponse {
  const origin = headerValue(headers, 'origin');
  return (response) => cors.respond(origin, response);
}

function hostOfTarget({ service, port }: BackendTarget): string {
  const [namespace, name] = service.split('/');
  return `${name}.${namespace}:${port}`;
}
