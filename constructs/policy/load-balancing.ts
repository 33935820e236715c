import { ApiObject, Duration } from 'cdk8s';
import { Construct } from 'constructs';
import { apiVersions, type LoadBalancingPolicyObject } from '../../runtime/resources/index.ts';
import type { IPolicyTarget } from '../interfaces.ts';
import { metadata, nameBelowMesh } from '../metadata.ts';
import { isUnknown } from '../placeholder.ts';
import type { Check, Checked } from '../synth/check.ts';
import { reportLiteral } from '../synth/outputs.ts';
import { checkHeaderName, quote } from '../synth/rules.ts';
import type { LoadBalancing } from './balancing.ts';
import { checkPolicyTarget, claimPolicy, targetRef } from './target-ref.ts';

/** The service it is about, and how its endpoints are chosen. */
export interface LoadBalancingPolicyProps {
  /** The service or version the endpoints of which are chosen. */
  readonly target: IPolicyTarget;

  /** Without a policy it is `LoadBalancing.peakEwma()`. */
  readonly algorithm: LoadBalancing;
}

/**
 * How callers of a service choose one of its endpoints.
 *
 * @example
 * new LoadBalancingPolicy(shop, 'even', { target: catalog, algorithm: LoadBalancing.roundRobin() });
 */
export class LoadBalancingPolicy extends Construct implements Checked {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:LoadBalancingPolicy';

  readonly #props: LoadBalancingPolicyProps;

  constructor(scope: Construct, id: string, props: LoadBalancingPolicyProps) {
    super(scope, id);
    this.#props = props;
    const spec: LoadBalancingPolicyObject['spec'] = {
      targetRefs: [targetRef(props.target)],
      ...props.algorithm._render(),
    };
    new ApiObject(this, 'Resource', {
      apiVersion: apiVersions.meshwright,
      kind: 'LoadBalancingPolicy',
      metadata: metadata(this, nameBelowMesh(this)),
      spec,
    });
  }

  /** @internal */
  _check(check: Check): void {
    const { target, algorithm } = this.#props;
    claimPolicy(check, this, 'LoadBalancingPolicy');
    checkPolicyTarget(check, this, target);
    const { service, name, port } = target._backend();
    const owner = check.claim(`load balancing of ${service.namespace}/${name}${port ? `:${port.name}` : ''}`, this);
    if (owner) {
      check.report(
        'MW1335',
        this,
        `${owner.node.path} already says how the endpoints of ${name} are chosen`,
        'keep one of the two',
      );
    }
    const bytesOnly = Object.values(service.ports).every(({ protocol }) => protocol === 'tcp');
    if (bytesOnly && algorithm.readsRequests) {
      this.#refuse(
        check,
        `${name} speaks tcp, which has no headers, cookies and parameters`,
        'use HashKey.source(), or an algorithm without key',
      );
    }
    this.#checkKey(check, algorithm);
    this.#checkCookie(check, algorithm);
    this.#checkNumbers(check, algorithm);
  }

  #checkKey(check: Check, { props: { by } }: LoadBalancing): void {
    if (by?.kind === 'header') checkHeaderName(check, this, 'hash key', by.name ?? '');
    if (by?.kind === 'cookie') this.#checkCookieName(check, by.name ?? '');
    if (by?.kind === 'query' && !by.name) {
      this.#refuse(check, 'the query parameter to hash by has no name', 'state its name');
    }
  }

  #checkCookie(check: Check, { props }: LoadBalancing): void {
    const { cookie, maxAge, path, sameSite, secure } = props;
    if (cookie !== undefined) this.#checkCookieName(check, cookie);
    if (maxAge) this.#checkDuration(check, 'maxAge', maxAge, Duration.days(7));
    if (path !== undefined && !isUnknown(path) && !/^\/[\x21-\x3a\x3c-\x7e]{0,255}$/.test(path)) {
      this.#refuse(
        check,
        `the cookie's path ${quote(path)} is invalid; it begins with / and holds neither spaces nor ;`,
        "use for example '/cart', or leave it out for all paths",
      );
    }
    if (sameSite === 'None' && !secure) {
      this.#refuse(check, 'browsers drop a cookie with sameSite None that is not secure', 'set secure, or use Lax');
    }
  }

  #checkNumbers(check: Check, { props }: LoadBalancing): void {
    const { preferSameZone, slowStart, panicThreshold } = props;
    if (preferSameZone) this.#checkInteger(check, 'minEndpoints', preferSameZone.minEndpoints, 1000);
    if (slowStart) this.#checkDuration(check, 'slowStart', slowStart, Duration.hours(1));
    if (panicThreshold !== undefined) this.#checkInteger(check, 'panicThreshold', panicThreshold, 100);
  }

  #checkInteger(check: Check, what: string, value: number, most: number): void {
    if (isUnknown(value) || (Number.isInteger(value) && value >= 1 && value <= most)) return;
    this.#refuse(check, `${what} is ${value}; allowed are whole numbers from 1 to ${most}`, 'correct the number');
  }

  #checkDuration(check: Check, what: string, value: Duration, most: Duration): void {
    const seconds = value.toMilliseconds({ integral: false }) / 1000;
    if (Number.isNaN(seconds)) {
      reportLiteral(check, this, what);
      return;
    }
    if (Number.isInteger(seconds * 1000) && seconds >= 1 && seconds <= most.toSeconds()) return;
    this.#refuse(
      check,
      `${what} is ${seconds} s; allowed are 1 s to ${most.toSeconds()} s`,
      'correct the duration, for example Duration.seconds(30)',
    );
  }

  #checkCookieName(check: Check, name: string): void {
    if (isUnknown(name) || /^[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,64}$/.test(name)) return;
    this.#refuse(
      check,
      `cookie name ${quote(name)} is invalid; allowed are up to 64 letters, digits and !#$%&'*+-.^_\`|~`,
      'correct the name',
    );
  }

  #refuse(check: Check, message: string, hint: string): void {
    check.report('MW1351', this, message, hint);
  }
}
