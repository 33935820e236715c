/** How a value is compared. A regular expression must match the whole value. */
export type MatchType = 'Exact' | 'RegularExpression';

/** A condition on the path of a request, without its query. */
export class Path {
  /**
   * This path and no other.
   *
   * @example Path.exact('/health')
   */
  static exact(value: string): Path {
    return new Path('Exact', value);
  }

  /**
   * Whole segments: `/cart` holds for `/cart` and `/cart/1`, not for `/cartoon`.
   *
   * @example Path.prefix('/cart')
   */
  static prefix(value: string): Path {
    return new Path('PathPrefix', value);
  }

  /**
   * The whole path must match. Patterns that could take exponential time are refused at synth.
   *
   * @example Path.regex('/v[0-9]+/items')
   */
  static regex(pattern: string): Path {
    return new Path('RegularExpression', pattern);
  }

  readonly kind = 'path';
  readonly type: MatchType | 'PathPrefix';
  readonly value: string;

  private constructor(type: MatchType | 'PathPrefix', value: string) {
    this.type = type;
    this.value = value;
  }
}

/** A condition on a header. Names are case-insensitive. */
export class Header {
  /**
   * The header has this value. Values are compared with case.
   *
   * @example Header.is('x-canary', 'always')
   */
  static is(name: string, value: string): Header {
    return new Header('Exact', name, value);
  }

  /**
   * The whole value matches.
   *
   * @example Header.regex('user-agent', 'curl/.*')
   */
  static regex(name: string, pattern: string): Header {
    return new Header('RegularExpression', name, pattern);
  }

  readonly kind = 'header';
  readonly type: MatchType;
  readonly name: string;
  readonly value: string;

  private constructor(type: MatchType, name: string, value: string) {
    this.type = type;
    this.name = name.toLowerCase();
    this.value = value;
  }
}

/** A condition on a query parameter. */
export class Query {
  /**
   * The first parameter of this name has this value.
   *
   * @example Query.is('preview', 'true')
   */
  static is(name: string, value: string): Query {
    return new Query('Exact', name, value);
  }

  /** The whole value of the first parameter of this name matches. */
  static regex(name: string, pattern: string): Query {
    return new Query('RegularExpression', name, pattern);
  }

  readonly kind = 'query';
  readonly type: MatchType;
  readonly name: string;
  readonly value: string;

  private constructor(type: MatchType, name: string, value: string) {
    this.type = type;
    this.name = name;
    this.value = value;
  }
}

/** The methods Gateway API can match. */
export type HttpMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'CONNECT' | 'OPTIONS' | 'TRACE' | 'PATCH';

/** A condition on the method of a request. */
export class Method {
  /**
   * The request has this method.
   *
   * @example Method.is('POST')
   */
  static is(method: HttpMethod): Method {
    return new Method(method);
  }

  readonly kind = 'method';
  readonly method: HttpMethod;

  private constructor(method: HttpMethod) {
    this.method = method;
  }
}

/** A condition on the method of a gRPC call. */
export class GrpcMethod {
  /**
   * @param service - full name of the gRPC service: `shop.v1.Cart`
   * @param method - its method; absent means all of them
   * @example GrpcMethod.is('shop.v1.Cart', 'AddItem')
   */
  static is(service: string, method?: string): GrpcMethod {
    return new GrpcMethod(service, method);
  }

  readonly kind = 'grpc-method';
  readonly service: string;
  readonly method: string | undefined;

  private constructor(service: string, method: string | undefined) {
    this.service = service;
    this.method = method;
  }
}

/** What a rule of a {@link Route} can ask of a request. */
export type HttpCondition = Path | Header | Query | Method;
/** What a rule of a {@link GrpcRoute} can ask of a call. */
export type GrpcCondition = GrpcMethod | Header;

/** Alternatives: one of them must hold. */
export class Match<C> {
  /**
   * @param alternatives - each a list of conditions that must all hold
   * @example match: Match.anyOf([Path.exact('/')], [Path.prefix('/home'), Method.is('GET')])
   */
  static anyOf<A extends readonly (readonly unknown[])[]>(...alternatives: A): Match<A[number][number]> {
    return new Match(alternatives);
  }

  /** The alternatives of a rule's `match`; one empty alternative holds for everything. @internal */
  static _alternatives<C>(match: readonly C[] | Match<C> = []): readonly (readonly C[])[] {
    return match instanceof Match ? match.alternatives : [match];
  }

  /** One of these must hold: each a list of conditions of which all must. */
  readonly alternatives: readonly (readonly C[])[];

  private constructor(alternatives: readonly (readonly C[])[]) {
    this.alternatives = alternatives;
  }
}
