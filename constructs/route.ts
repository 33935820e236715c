import { ApiObject, Lazy } from 'cdk8s';
import { Construct } from 'constructs';
import { apiVersions, type HttpRouteObject, type HttpRouteRule } from '../runtime/resources/index.ts';
import type { Gateway, GatewayListener } from './gateway.ts';
import type { Backend, IRouteParent, IRouteTarget, IServiceOf, IServicePort, RouteReference } from './interfaces.ts';
import { Match } from './match.ts';
import { metadata, nameBelowMesh } from './metadata.ts';
import { backendsOf, renderBackends, renderHeaderFilters, renderMatch, renderMirror } from './route-rendering.ts';
import type { CorsProps, RedirectProps, RetryProps, RewriteProps, RouteRule } from './route-rule.ts';
import { addRuleRetries, checkRuleRetries, labelOf } from './rule-retries.ts';
import type { Check, Checked } from './synth/check.ts';
import { formatDuration } from './synth/duration.ts';
import { checkHttpRule } from './synth/http-rules.ts';
import { checkRoute } from './synth/route-rules.ts';

/** The protocols an HTTP route can be on. */
export type HttpProtocol = 'http' | 'http2';

/** What an HTTP route can be attached to. */
export type HttpRouteParent = IServicePort<HttpProtocol> | IServiceOf<HttpProtocol> | Gateway | GatewayListener;

/** Where a route is in force, and its rules. */
export interface RouteProps {
  /**
   * Whose requests it decides: a service, for all who call it in the mesh; or a gateway, for requests from outside.
   * Name a port where the service has ports of several protocols.
   */
  readonly parent: HttpRouteParent;

  /** The most specific match wins; of equals, the first. */
  readonly rules: readonly RouteRule[];

  /**
   * The hosts it is for. Only for gateways: in the mesh the service is the host.
   * @default - all hosts
   */
  readonly hostnames?: readonly string[];
}

/**
 * Decides HTTP requests: where they go, how they are changed, how long they may take.
 *
 * @example
 * new Route(shop, 'canary', {
 *   parent: reviews,
 *   rules: [
 *     { match: [Header.is('x-canary', 'always')], to: reviews.version('v2') },
 *     { to: reviews.split({ v1: 90, v2: 10 }) },
 *   ],
 * });
 */
export class Route extends Construct implements Checked, IRouteTarget {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:Route';

  readonly #props: RouteProps;

  constructor(scope: Construct, id: string, props: RouteProps) {
    super(scope, id);
    this.#props = props;
    const parent = parentOf(props);
    parent.attach?.(() => this.#backends());
    const spec: HttpRouteObject['spec'] = {
      parentRefs: [parent.ref],
      ...(props.hostnames && { hostnames: [...props.hostnames] }),
      rules: Lazy.any({ produce: () => props.rules.map((rule, index) => this.#render(rule, index)) }),
    };
    new ApiObject(this, 'Resource', {
      apiVersion: apiVersions.gateway,
      kind: 'HTTPRoute',
      metadata: metadata(this, nameBelowMesh(this)),
      spec,
    });
    for (const [index, rule] of props.rules.entries()) {
      if (!rule.hedge) continue;
      const hedging = { delay: formatDuration(rule.hedge.after) };
      addRuleRetries(this, 'HTTPRoute', labelOf(rule, index), { hedging });
    }
  }

  /**
   * One of its rules, by name: for a policy that is about its requests alone.
   *
   * @example new CircuitBreakerPolicy(shop, 'few', { target: route.rule('split'), maxRequests: 10 });
   */
  rule(name: string): IRouteTarget {
    return { _route: () => ({ ...this._route(), rule: name }) };
  }

  /** @internal */
  _route(): RouteReference {
    const ruleNames = this.#props.rules.flatMap(({ name }) => name ?? []);
    return { construct: this, kind: 'HTTPRoute', name: nameBelowMesh(this), ruleNames };
  }

  /** @internal */
  _check(check: Check): void {
    const { rules, hostnames } = this.#props;
    checkRoute(check, this, {
      kind: 'HTTPRoute',
      parent: parentOf(this.#props),
      protocols: ['http', 'http2'],
      rules,
      hostnames,
    });
    for (const [index, rule] of rules.entries()) {
      const label = labelOf(rule, index);
      checkHttpRule(check, this, label, rule);
      if (rule.hedge) checkRuleRetries(check, this, label);
    }
  }

  #backends(): readonly Backend[] {
    return this.#props.rules.flatMap((rule) => [...backendsOf(rule.to), ...backendsOf(rule.mirror?.to)]);
  }

  #render(rule: RouteRule, index: number): HttpRouteRule {
    const { ports } = parentOf(this.#props);
    const matches = Match._alternatives(rule.match).map(renderMatch);
    const matchesAll = matches.length === 1 && Object.keys(matches[0]).length === 0;
    const filters = [
      ...renderHeaderFilters(rule),
      ...renderMirror(rule.mirror, ports),
      ...renderRewrite(rule.rewrite),
      ...renderRedirect(rule.redirect),
      ...renderCors(rule.cors),
    ];
    return {
      ...((rule.name || rule.hedge) && { name: labelOf(rule, index) }),
      ...(!matchesAll && { matches }),
      ...(filters.length && { filters }),
      ...(rule.to && { backendRefs: renderBackends(backendsOf(rule.to), ports) }),
      ...renderTimeouts(rule),
      ...(rule.retry && { retry: renderRetry(rule.retry) }),
    };
  }
}

function parentOf({ parent }: RouteProps) {
  return (parent as IRouteParent)._parent();
}

type HttpFilters = NonNullable<HttpRouteRule['filters']>;

function renderRewrite(rewrite: RewriteProps | undefined): HttpFilters {
  if (!rewrite) return [];
  return [{ type: 'URLRewrite', urlRewrite: { hostname: rewrite.host, path: renderPathChange(rewrite.path) } }];
}

function renderRedirect(redirect: RedirectProps | undefined): HttpFilters {
  if (!redirect) return [];
  const { scheme, host, port, path, status = 302 } = redirect;
  return [
    {
      type: 'RequestRedirect',
      requestRedirect: { scheme, hostname: host, port, path: renderPathChange(path), statusCode: status },
    },
  ];
}

function renderCors(cors: CorsProps | undefined): HttpFilters {
  if (!cors) return [];
  const { allowOrigins, allowCredentials, allowMethods, allowHeaders, exposeHeaders, maxAge } = cors;
  const list = <T extends string>(values: readonly T[] | '*' | undefined) =>
    values === '*' ? ['*' as const] : values && [...values];
  return [
    {
      type: 'CORS',
      cors: {
        allowOrigins: list(allowOrigins),
        allowCredentials,
        allowMethods: list(allowMethods),
        allowHeaders: list(allowHeaders),
        exposeHeaders: list(exposeHeaders),
        maxAge: maxAge?.toSeconds({ integral: false }),
      },
    },
  ];
}

function renderPathChange(change: RewriteProps['path']) {
  if (!change) return undefined;
  const { type, value } = change;
  return type === 'ReplaceFullPath' ? { type, replaceFullPath: value } : { type, replacePrefixMatch: value };
}

function renderTimeouts({ timeout, backendTimeout }: RouteRule): Pick<HttpRouteRule, 'timeouts'> {
  if (!timeout && !backendTimeout) return {};
  return {
    timeouts: {
      request: timeout && formatDuration(timeout),
      backendRequest: backendTimeout && formatDuration(backendTimeout),
    },
  };
}

function renderRetry({ attempts, codes, backoff }: RetryProps): HttpRouteRule['retry'] {
  return { attempts, codes: codes && [...codes], backoff: backoff && formatDuration(backoff) };
}
