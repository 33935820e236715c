import { ApiObject } from 'cdk8s';
import { Construct } from 'constructs';
import { type AccessPolicyObject, type AccessPolicyRule, apiVersions } from '../../runtime/resources/index.ts';
import type { ICaller, IPolicyTarget, Principal } from '../interfaces.ts';
import { metadata, nameBelowMesh } from '../metadata.ts';
import type { Check, Checked } from '../synth/check.ts';
import { DeclaredCalls } from '../synth/declared-calls.ts';
import { checkRuleNames } from '../synth/rules.ts';
import { checkOperations, type Operation, renderOperations } from './operation.ts';
import { checkPolicyTarget, claimPolicy, targetRef } from './target-ref.ts';

/** Who calls, and what. */
export interface AccessRuleProps {
  /**
   * What decisions, logs and `explain` call the rule.
   * @default - its position in the policy: `rule-0`
   */
  readonly name?: string;

  /** Who calls; one of them must match. `Caller.anyone()` and its like stand for more than one service. */
  readonly from: readonly ICaller[];

  /**
   * What is called; one of them must match.
   * @default - every operation
   */
  readonly to?: readonly Operation[];
}

/** One rule of an access policy. */
export class Access {
  /**
   * Lets these callers do this. From then on, what no allow rule lets through is denied.
   *
   * @example Access.allow({ name: 'web-only', from: [web] })
   */
  static allow(rule: AccessRuleProps): Access {
    return new Access('Allow', rule);
  }

  /**
   * Keeps these callers from doing this, whatever is allowed elsewhere.
   *
   * @example Access.deny({ from: [Caller.anyone()], to: [{ methods: ['DELETE'] }] })
   */
  static deny(rule: AccessRuleProps): Access {
    return new Access('Deny', rule);
  }

  readonly action: 'Allow' | 'Deny';
  readonly rule: AccessRuleProps;

  private constructor(action: 'Allow' | 'Deny', rule: AccessRuleProps) {
    this.action = action;
    this.rule = rule;
  }
}

/** What is protected, and how. */
export interface AccessPolicyProps {
  /** The service, port or version that is protected. */
  readonly target: IPolicyTarget;
  readonly rules: readonly Access[];
}

/**
 * Who may call a service. A matching deny wins. Where any allow rule exists, a request needs a matching one; else it
 * is allowed. The order of the rules means nothing.
 *
 * @example
 * new AccessPolicy(shop, 'cart-access', { target: cart, rules: [Access.allow({ from: [web] })] });
 */
export class AccessPolicy extends Construct implements Checked {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:AccessPolicy';

  readonly #props: AccessPolicyProps;

  constructor(scope: Construct, id: string, props: AccessPolicyProps) {
    super(scope, id);
    this.#props = props;
    const spec: AccessPolicyObject['spec'] = {
      targetRefs: [targetRef(props.target)],
      rules: props.rules.map(render),
    };
    new ApiObject(this, 'Resource', {
      apiVersion: apiVersions.meshwright,
      kind: 'AccessPolicy',
      metadata: metadata(this, nameBelowMesh(this)),
      spec,
    });
  }

  /** @internal */
  _check(check: Check): void {
    const { target, rules } = this.#props;
    claimPolicy(check, this, 'AccessPolicy');
    checkPolicyTarget(check, this, target);
    if (rules.length === 0) {
      check.report('MW1331', this, 'it has no rules', 'state who may call: Access.allow({ from: [...] })');
    }
    const names = rules.map(({ rule }) => rule.name);
    checkRuleNames(check, this, names);
    for (const [index, access] of rules.entries()) this.#checkRule(check, access, names[index] ?? `rule-${index}`);

    const { service, name, port } = target._backend();
    const allows = rules.filter(({ action }) => action === 'Allow');
    if (allows.length && !port && name === service.serviceName) {
      check.analysis(DeclaredCalls).restrict(
        this,
        service,
        allows.flatMap(({ rule }) => principals(rule)),
      );
    }
  }

  #checkRule(check: Check, { action, rule }: Access, place: string): void {
    if (rule.from.length === 0) {
      const whom = action === 'Allow' ? 'may call' : 'must not call';
      check.report(
        'MW1332',
        this,
        `${place}: \`from\` is empty, so it names nobody`,
        `name who ${whom}, or Caller.anyone()`,
      );
    }
    for (const caller of rule.from) {
      const construct = caller._construct();
      if (construct && caller._principals().length === 0) {
        check.report(
          'MW1333',
          this,
          `${place}: the service accounts of ${construct.node.path} are not known`,
          'state `serviceAccounts` where the service is referred to, or use Caller.serviceAccount',
        );
      } else if (construct && !check.holds(construct)) {
        check.report(
          'MW1334',
          this,
          `${place}: it names ${construct.node.path}, which is in another tree`,
          'define both below one App, or use Caller.serviceAccount',
        );
      }
    }
    checkOperations(check, this, place, this.#props.target, rule.to);
  }
}

function principals(rule: AccessRuleProps): readonly Principal[] {
  return rule.from.flatMap((caller) => caller._principals());
}

function render({ action, rule }: Access, index: number): AccessPolicyRule {
  const from = principals(rule);
  return {
    name: rule.name ?? `rule-${index}`,
    action,
    // Absent means everyone.
    ...(from.some(({ kind }) => kind === 'anyone') ? {} : { from: from.flatMap(renderPrincipal) }),
    ...(rule.to && { to: renderOperations(rule.to) }),
  };
}

function renderPrincipal(principal: Principal): NonNullable<AccessPolicyRule['from']> {
  switch (principal.kind) {
    case 'service-account':
      return [{ serviceAccount: { ...principal.serviceAccount } }];
    case 'namespace':
      return [{ namespace: principal.namespace }];
    case 'authenticated':
      return [{ authenticated: true }];
    case 'anyone':
      return [];
  }
}
