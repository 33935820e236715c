import type { Duration } from 'cdk8s';
import type { ITarget } from './interfaces.ts';
import type { HttpCondition, HttpMethod, Match } from './match.ts';

/** Changes of a header list: removals first, then `set` replaces, then `add` appends. */
export interface HeaderChanges {
  /**
   * Headers that get this value and no other.
   * @default - none
   */
  readonly set?: Readonly<Record<string, string>>;

  /**
   * Headers that get this value besides those they have.
   * @default - none
   */
  readonly add?: Readonly<Record<string, string>>;

  /**
   * Headers that are removed.
   * @default - none
   */
  readonly remove?: readonly string[];
}

/** Copies requests to a further target; its answers are ignored. */
export interface MirrorProps {
  /** What gets the copies. */
  readonly to: ITarget;

  /**
   * Share of the requests that is copied, 0 to 100.
   * @default 100
   */
  readonly percent?: number;
}

/** What every rule of a route may state, whatever the protocol. */
export interface RuleProps<C> {
  /**
   * What decisions, metrics and `explain` call the rule.
   * @default - its position in the route: `rule-0`
   */
  readonly name?: string;

  /**
   * The conditions that must all hold; `Match.anyOf` states alternatives.
   * @default - it matches every request
   */
  readonly match?: readonly C[] | Match<C>;

  /**
   * Changes of the request before it is sent on.
   * @default - none
   */
  readonly requestHeaders?: HeaderChanges;

  /**
   * Changes of the response before it is returned.
   * @default - none
   */
  readonly responseHeaders?: HeaderChanges;

  /**
   * Where else requests are copied to.
   * @default - nowhere
   */
  readonly mirror?: MirrorProps;
}

/** How a path is replaced in a rewrite or redirect. */
export class PathChange {
  /**
   * The whole path.
   *
   * @example PathChange.full('/closed')
   */
  static full(value: string): PathChange {
    return new PathChange('ReplaceFullPath', value);
  }

  /**
   * The part that the rule's `Path.prefix` matched.
   *
   * @example { match: [Path.prefix('/old')], to: web, rewrite: { path: PathChange.prefix('/new') } }
   */
  static prefix(value: string): PathChange {
    return new PathChange('ReplacePrefixMatch', value);
  }

  readonly type: 'ReplaceFullPath' | 'ReplacePrefixMatch';
  readonly value: string;

  private constructor(type: 'ReplaceFullPath' | 'ReplacePrefixMatch', value: string) {
    this.type = type;
    this.value = value;
  }
}

/** Answers with a redirect. What is left out is kept from the request. */
export interface RedirectProps {
  /** @default - the scheme of the request */
  readonly scheme?: 'http' | 'https';
  /** @default - the host of the request */
  readonly host?: string;
  /** @default - the port of the request, or the scheme's own where the scheme changes */
  readonly port?: number;
  /** @default - the path of the request */
  readonly path?: PathChange;
  /** @default 302 */
  readonly status?: 301 | 302 | 303 | 307 | 308;
}

/** What the target sees in place of what the caller asked for. */
export interface RewriteProps {
  /** @default - the host of the request */
  readonly host?: string;
  /** @default - the path of the request */
  readonly path?: PathChange;
}

/**
 * Repeats failed tries, within a budget that keeps retries from adding to an overload. Only what is safe to repeat is
 * repeated: idempotent methods, or any where the target certainly did not see the request.
 */
export interface RetryProps {
  /** Tries beyond the first. */
  readonly attempts: number;

  /**
   * Status codes that count as a failed try.
   * @default - none: only failures of the connection
   */
  readonly codes?: readonly number[];

  /**
   * Time before the first repetition; it doubles each time, with jitter.
   * @default - what the mesh uses: 25 ms
   */
  readonly backoff?: Duration;
}

/** An origin of web pages: scheme, host and, where it is not that of the scheme, port. The host may begin with `*.`. */
export type CorsOrigin = `http://${string}` | `https://${string}`;

/**
 * Lets browsers have web pages of other origins call, and read the answers. The proxy that routes answers what
 * browsers ask ahead (preflights), and replaces what the application says of origins.
 */
export interface CorsProps {
  /**
   * The origins whose pages may: a list, or `'*'` for all of them. `https://*.shop.example` stands for all hosts below
   * shop.example.
   */
  readonly allowOrigins: readonly CorsOrigin[] | '*';

  /**
   * Methods that they may use besides GET, HEAD and POST.
   * @default - no other
   */
  readonly allowMethods?: readonly HttpMethod[] | '*';

  /**
   * Request headers that they may send besides those that every form sends.
   * @default - no other
   */
  readonly allowHeaders?: readonly string[] | '*';

  /**
   * Response headers that their scripts may read besides the simple ones, such as `content-type`.
   * @default - no other
   */
  readonly exposeHeaders?: readonly string[] | '*';

  /**
   * Whether browsers send cookies and other credentials with it.
   * @default false
   */
  readonly allowCredentials?: boolean;

  /**
   * How long browsers may keep the answer to a preflight, in whole seconds.
   * @default - what the Gateway API says: 5 seconds
   */
  readonly maxAge?: Duration;
}

/** A second try beside a first that is slow. */
export interface HedgeProps {
  /**
   * How long the first try has to begin its answer. Choose it above what nearly all requests take: the 95th percentile,
   * for example.
   */
  readonly after: Duration;
}

interface HttpRule extends RuleProps<HttpCondition> {
  /**
   * Changes of the host and path before the request is sent on.
   * @default - none
   */
  readonly rewrite?: RewriteProps;

  /**
   * Time from the first byte of the request to the last of the response, over all tries.
   * @default - no limit
   */
  readonly timeout?: Duration;

  /**
   * Time for one try.
   * @default - no limit
   */
  readonly backendTimeout?: Duration;

  /**
   * Whether failed tries are repeated.
   * @default - they are not
   */
  readonly retry?: RetryProps;

  /**
   * Whether a second try, to another replica, begins while the first is slow. The first answer counts, and the other
   * try is given up. Only idempotent requests that came completely have one; it counts in the retry budget.
   * @default - there is no second try
   */
  readonly hedge?: HedgeProps;

  /**
   * Which web pages of other origins may call.
   * @default - what the application says
   */
  readonly cors?: CorsProps;
}

/** A rule that sends requests on. */
export interface ForwardRule extends HttpRule {
  /** Where requests go: one target, or several, each with its weight. */
  readonly to: ITarget | readonly ITarget[];
  readonly redirect?: undefined;
}

/** A rule that answers with a redirect. */
export interface RedirectRule extends RuleProps<HttpCondition> {
  /** Where the client is sent. */
  readonly redirect: RedirectProps;
  readonly to?: undefined;

  /**
   * Which web pages of other origins may follow it.
   * @default - none
   */
  readonly cors?: CorsProps;
  readonly rewrite?: undefined;
  readonly timeout?: undefined;
  readonly backendTimeout?: undefined;
  readonly retry?: undefined;
  readonly hedge?: undefined;
}

/** A rule of a {@link Route}. */
export type RouteRule = ForwardRule | RedirectRule;
