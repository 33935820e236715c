import {
  createRetryBudget,
  formatTarget,
  normalizePath,
  type RateLimitRefusal,
  type RetryAllowance,
  rateLimitFields,
  withHyphens,
} from '../engine/index.ts';
import {
  type AppTls,
  type CallStatus,
  describeReference,
  formatSpiffeId,
  type Protocol,
  parseSpiffeId,
  type SpiffeId,
  type Timeouts,
} from '../model/index.ts';
import type { Accepted, RequestHead, RequestReceiver, ServerHandler, ServerStream } from '../net/index.ts';
import { type HostPort, parseHostPort } from './bootstrap.ts';
import { Exchange } from './exchange.ts';
import type { ChangeResponse, ExchangePlan, ProxyContext, Upstream } from './exchange-plan.ts';
import { answerLocally } from './local-answer.ts';
import type { CompiledInbound, MeshView } from './mesh-view.ts';
import { DurationSeries } from './metrics.ts';
import type { PeerAddress, PeerLink } from './peer-link.ts';
import type { Pools } from './pools.ts';
import type { LocalReply } from './reply.ts';
import { malformedPath } from './routing.ts';
import type { Servers } from './servers.ts';
import { admitStranger } from './strangers.ts';
import { joinTcp, TcpMeter, turnAway } from './tcp.ts';

export interface InboundParts {
  readonly context: ProxyContext;
  readonly view: MeshView;
  readonly pools: Pools;
  readonly servers: Servers;
  readonly link: PeerLink;
  /** The container's port, as the Workload resource names it. */
  readonly port: number;
  /** Where the application listens. */
  readonly app: HostPort;
}

const unknownCaller = 'unknown';
const clientCertificateHeader = 'x-forwarded-client-cert';
/** Callers told apart in metrics; more than any workload has. */
const maxCallers = 1000;

/** Who calls on a connection, in all the forms that its requests ask for. */
interface Caller {
  /** As its certificate proved; absent on plain text. */
  readonly id: SpiffeId | undefined;
  /** It is a proxy that sends requests, by HTTP/2; not one that passes on the bytes of its application. */
  readonly isPeer: boolean;
  /** For the access log. */
  readonly source: string;
  /** What the application is told of the certificate. */
  readonly certificate: string | undefined;
  /** Without identity, but what it says of its own clients is passed on. */
  readonly trusted: boolean;
}

/** Requests of one caller to one port of the application. */
class InboundPlan implements ExchangePlan {
  readonly direction = 'inbound';
  readonly timeouts: Timeouts = {};
  readonly service: string;
  readonly mtls: boolean;
  readonly callerCanRetry: boolean;
  readonly budget: RetryAllowance;
  readonly #series: DurationSeries;
  readonly #upstream: Upstream;

  constructor(service: string, caller: Caller, budget: RetryAllowance, series: DurationSeries, upstream: Upstream) {
    this.service = service;
    this.mtls = caller.id !== undefined;
    this.callerCanRetry = caller.isPeer;
    this.budget = budget;
    this.#series = series;
    this.#upstream = upstream;
  }

  pick(): Upstream {
    return this.#upstream;
  }

  observe(status: number, seconds: number, callStatus?: CallStatus): void {
    this.#series.observe(status, seconds, callStatus);
  }
}

/** What peers send to one port of the application: who they are is known, what they may do is decided here. */
export class Inbound {
  readonly #parts: InboundParts;
  readonly #meter: TcpMeter;
  readonly #budget: RetryAllowance;
  readonly #app: { readonly host: string; readonly port: number };
  readonly #plans = new Map<string, InboundPlan>();
  #application: { readonly protocol: Protocol; readonly peer: PeerAddress; readonly upstream: Upstream } | undefined;

  constructor(parts: InboundParts) {
    this.#parts = parts;
    this.#meter = new TcpMeter(parts.context, 'inbound');
    this.#budget = createRetryBudget(parts.context.clock);
    this.#app = parseHostPort(parts.app);
  }

  accept(accepted: Accepted): void {
    const { view, servers, port } = this.#parts;
    const inbound = view.inbound(port);
    const { peerIdentity } = accepted.connection;
    const caller = peerIdentity === undefined ? undefined : parseSpiffeId(peerIdentity);
    if (!inbound) turnAway(accepted, 'there are no rules yet');
    else if (inbound.protocol === 'tcp') this.#acceptTcp(accepted, inbound, caller);
    // Peers that know of requests say by ALPN that they speak HTTP/2, whatever the application does. Others bring the
    // bytes of their own application, as their Service does not say what the port speaks.
    else servers.serveHttp(accepted, this.#handlerFor(caller, accepted));
  }

  #acceptTcp(accepted: Accepted, inbound: CompiledInbound, caller: SpiffeId | undefined): void {
    const { servers, context, link } = this.#parts;
    const decision = inbound.access.decide(caller ? { principal: caller } : {});
    if (!decision.allowed) {
      this.#countDenied(decision.policy && describeReference(decision.policy));
      turnAway(accepted, decision.reason);
      return;
    }
    const limited = inbound.rateLimiter?.admit(caller ? { principal: caller } : {});
    if (limited) {
      this.#countLimited(limited);
      turnAway(accepted, limited.reason);
      return;
    }
    servers.keep(accepted);
    const closed = this.#meter.open({
      service: this.#service,
      source: sourceLabel(caller),
      mtls: caller !== undefined,
      ...(caller === undefined && { caller: accepted.connection.remoteAddress }),
    });
    joinTcp(context, link, accepted.connection, { ...this.#app, identity: undefined }, undefined, closed);
  }

  /** Who calls is the same for all requests of a connection, and so is their plan while the workload is. */
  #handlerFor(id: SpiffeId | undefined, { connection, protocol, proxied }: Accepted): ServerHandler {
    const name = id && formatSpiffeId(id);
    const { view } = this.#parts;
    const { remoteAddress } = connection;
    const isPeer = protocol === 'h2';
    const common = { id, isPeer, source: name ?? remoteAddress, certificate: name && `URI=${name}` };
    const trusts = () => id === undefined && view.strangers.trusts(remoteAddress, proxied);
    let caller: Caller = { ...common, trusted: trusts() };
    let workload = view.workload;
    let plan = this.#plan(caller);
    return {
      onRequest: (head: RequestHead, stream: ServerStream, end: boolean): RequestReceiver => {
        if (workload !== view.workload) {
          workload = view.workload;
          caller = { ...common, trusted: trusts() };
          plan = this.#plan(caller);
        }
        return this.#handle(caller, plan, head, stream, end);
      },
    };
  }

  #handle(caller: Caller, plan: InboundPlan, head: RequestHead, stream: ServerStream, end: boolean): RequestReceiver {
    const { view, context, port } = this.#parts;
    const { id: principal, source } = caller;
    const path = normalizePath(head.path);
    if (!path) return answerLocally(context, plan, head, stream, malformedPath, source);
    const inbound = view.inbound(port);
    const decision = inbound?.access.decide({ principal, method: head.method, path });
    if (!decision?.allowed) {
      this.#countDenied(decision?.policy && describeReference(decision.policy));
      const details = `${head.method} ${path.path} of ${this.#service}: ${decision?.reason ?? 'there are no rules yet'}`;
      plan.observe(403, 0);
      return answerLocally(context, plan, head, stream, { status: 403, error: 'http_request_denied', details }, source);
    }
    // Before anything counts by what it says.
    if (principal) setClientCertificate(head, caller.certificate!);
    else admitStranger(head, source, { forwarded: caller.trusted, underscores: true });
    const { method, headers } = head;
    const { rateLimiter } = inbound!;
    let change: ChangeResponse | undefined;
    if (rateLimiter) {
      const asked = { principal, method, path, headers };
      const limited = rateLimiter.admit(asked);
      if (limited) return this.#refuseForLimit(limited, plan, source, head, stream);
      const told = rateLimiter.report?.(asked);
      // Lists of fields: what the application says of limits of its own stays beside it.
      if (told?.length) change = (response) => [...response, ...told];
    }
    head.path = formatTarget(path);
    return new Exchange(context, plan, stream, head, end, source, undefined, change).start();
  }

  #plan(caller: Caller): InboundPlan {
    const { context, view, port } = this.#parts;
    const source = sourceLabel(caller.id);
    const { protocol = 'http', appTls } = view.inbound(port) ?? {};
    const spoken = `${protocol} ${appTls ?? ''}`;
    const key = `${source} ${caller.isPeer} ${this.#service} ${view.workload?.version ?? ''} ${spoken}`;
    let plan = this.#plans.get(key);
    if (!plan) {
      if (this.#plans.size >= maxCallers) this.#plans.clear();
      const labels = [this.#service, view.workload?.version ?? '', source, String(caller.id !== undefined)];
      const { serverDuration, serverCallDuration } = context.metrics;
      const series = new DurationSeries(serverDuration, labels, serverCallDuration);
      plan = new InboundPlan(this.#service, caller, this.#budget, series, this.#applicationBy(protocol, appTls));
      this.#plans.set(key, plan);
    }
    return plan;
  }

  /** The application, spoken to as its port declares now. */
  #applicationBy(protocol: Protocol, appTls: AppTls | undefined): Upstream {
    const former = this.#application;
    if (former?.protocol === protocol && former.peer.appTls === appTls) return former.upstream;
    const { pools, app } = this.#parts;
    const peer = { ...this.#app, identity: undefined, ...(appTls && { appTls }) };
    if (former) pools.release(former.peer, former.protocol);
    const upstream = { pool: pools.acquire(peer, protocol), address: app };
    this.#application = { protocol, peer, upstream };
    this.#plans.clear();
    return upstream;
  }

  get #service(): string {
    const { workload } = this.#parts.view;
    return workload?.service ?? workload?.name ?? '';
  }

  #refuseForLimit(
    limited: RateLimitRefusal,
    plan: InboundPlan,
    source: string,
    head: RequestHead,
    stream: ServerStream,
  ): RequestReceiver {
    this.#countLimited(limited);
    plan.observe(429, 0);
    const reply: LocalReply = {
      status: 429,
      error: 'http_request_denied',
      details: limited.reason,
      headers: rateLimitFields(limited),
    };
    return answerLocally(this.#parts.context, plan, head, stream, reply, source);
  }

  #countLimited({ policy, limit }: RateLimitRefusal): void {
    this.#parts.context.metrics.rateLimited.with(describeReference(policy), limit.name).add(1);
  }

  #countDenied(policy: string | undefined): void {
    this.#parts.context.metrics.denied.with(policy ?? '').add(1);
  }
}

function sourceLabel(caller: SpiffeId | undefined): string {
  return caller ? `${caller.namespace}/${caller.serviceAccount}` : unknownCaller;
}

/** Tells the application who calls, and nobody else can: what came under that name is dropped. */
function setClientCertificate(head: RequestHead, certificate: string): void {
  removeField(head, clientCertificateHeader);
  head.headers.push(clientCertificateHeader, certificate);
}

function removeField(head: RequestHead, name: string): void {
  const { headers } = head;
  for (let i = 0; i < headers.length; i += 2) {
    if (withHyphens(headers[i]) !== name) continue;
    head.headers = headers.filter((_, index) => withHyphens(headers[index - (index % 2)]) !== name);
    return;
  }
}
