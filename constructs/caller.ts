import type { IConstruct } from 'constructs';
import type { ICaller, Principal } from './interfaces.ts';

/** Callers that are not one service of this program. Services, versions and gateways are callers themselves. */
export class Caller implements ICaller {
  /**
   * Every workload of a namespace.
   *
   * @example Access.allow({ from: [Caller.namespace('ops')] })
   */
  static namespace(name: string): Caller {
    return new Caller({ kind: 'namespace', namespace: name });
  }

  /**
   * One service account, of workloads that are not in this program.
   *
   * @example Access.allow({ from: [Caller.serviceAccount('ci', 'smoke-test')] })
   */
  static serviceAccount(namespace: string, name: string): Caller {
    return new Caller({ kind: 'service-account', serviceAccount: { namespace, name } });
  }

  /** Everyone with an identity of this mesh. */
  static authenticated(): Caller {
    return new Caller({ kind: 'authenticated' });
  }

  /** Everyone, also callers without identity, which only a permissive mesh lets in. */
  static anyone(): Caller {
    return new Caller({ kind: 'anyone' });
  }

  readonly #principal: Principal;

  private constructor(principal: Principal) {
    this.#principal = principal;
  }

  /** @internal */
  _principals(): readonly Principal[] {
    return [this.#principal];
  }

  /** @internal */
  _construct(): IConstruct | undefined {
    return undefined;
  }
}
