import type { IConstruct } from 'constructs';
import { qualifiedName } from '../../runtime/model/index.ts';
import type { ICaller, IService, Principal } from '../interfaces.ts';
import type { Analysis, Check } from './check.ts';
import { listOf } from './rules.ts';

interface Call {
  readonly caller: IConstruct & ICaller;
  readonly callee: IService;
}

interface Restriction {
  readonly policies: IConstruct[];
  readonly allowed: Principal[];
}

/** Compares who declares to call a service with whom its access policies allow. */
export class DeclaredCalls implements Analysis {
  readonly #check: Check;
  readonly #calls: Call[] = [];
  readonly #restrictions = new Map<IService, Restriction>();

  constructor(check: Check) {
    this.#check = check;
  }

  /** States that `caller` will call `callee`. */
  declare(caller: IConstruct & ICaller, callee: IService): void {
    this.#calls.push({ caller, callee });
  }

  /** States that a policy lets only these call the whole of `callee`. */
  restrict(policy: IConstruct, callee: IService, allowed: readonly Principal[]): void {
    const restriction = this.#restrictions.get(callee) ?? { policies: [], allowed: [] };
    restriction.policies.push(policy);
    restriction.allowed.push(...allowed);
    this.#restrictions.set(callee, restriction);
  }

  finish(): void {
    for (const { caller, callee } of this.#calls) {
      const restriction = this.#restrictions.get(callee);
      const principals = caller._principals();
      if (!restriction || principals.length === 0) continue;
      if (principals.some((principal) => restriction.allowed.some((allowed) => includes(allowed, principal)))) continue;
      this.#check.report(
        'MW1337',
        caller,
        `it calls ${callee.node.path}, but ${listOf(restriction.policies.map((policy) => policy.node.path))} does not let it`,
        `name ${caller.node.id} in an allow rule, or do not declare the call`,
      );
    }
  }
}

function includes(allowed: Principal, caller: Principal): boolean {
  if (allowed.kind === 'anyone' || allowed.kind === 'authenticated') return true;
  if (caller.kind !== 'service-account') return false;
  const { namespace, name } = caller.serviceAccount;
  if (allowed.kind === 'namespace') return allowed.namespace === namespace;
  const { serviceAccount } = allowed;
  return qualifiedName(serviceAccount.namespace, serviceAccount.name) === qualifiedName(namespace, name);
}
