import type { LoadBalancingPolicyObject } from '../../runtime/resources/index.ts';

type Rendered = NonNullable<LoadBalancingPolicyObject['spec']['hashKey']>;

/** What of a request is hashed: requests that are equal in it go to the same endpoint. */
export class HashKey {
  /**
   * A header; several of one name count as one.
   *
   * @example HashKey.header('x-user')
   */
  static header(name: string): HashKey {
    return new HashKey('header', { header: name });
  }

  /**
   * A cookie that the application sets.
   *
   * @example HashKey.cookie('session')
   */
  static cookie(name: string): HashKey {
    return new HashKey('cookie', { cookie: name });
  }

  /**
   * The first query parameter of this name.
   *
   * @example HashKey.query('tenant')
   */
  static query(name: string): HashKey {
    return new HashKey('query', { query: name });
  }

  /** The caller's identity; at a gateway the client's address. The only key there is for TCP. */
  static source(): HashKey {
    return new HashKey('source', { source: true });
  }

  readonly kind: 'header' | 'cookie' | 'query' | 'source';
  readonly #rendered: Rendered;

  private constructor(kind: HashKey['kind'], rendered: Rendered) {
    this.kind = kind;
    this.#rendered = rendered;
  }

  /** The name of what is hashed; absent for the source. */
  get name(): string | undefined {
    const { header, cookie, query } = this.#rendered;
    return header ?? cookie ?? query;
  }

  /** @internal */
  _render(): Rendered {
    return { ...this.#rendered };
  }
}
