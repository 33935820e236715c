import { Breaker, ruleTarget } from '../engine/index.ts';
import type { BackendTarget, CircuitBreaker, Gateway, HttpRule, QualifiedName, Service } from '../model/index.ts';

/** The breakers of a proxy, by whose configuration they come from. Those that stay keep their counts. */
export class Breakers {
  readonly #byOwner = new Map<string, ReadonlyMap<string, Breaker>>();
  readonly #byRule = new WeakMap<HttpRule, readonly Breaker[]>();

  /** `rules` are those that hold for this proxy. */
  takeService({ name, ports }: Service, rules: readonly HttpRule[]): void {
    const ofPorts = ports.flatMap(({ port, circuitBreaker }): Wanted[] =>
      circuitBreaker ? [[portTarget({ service: name, port }), circuitBreaker]] : [],
    );
    this.#take(`service ${name}`, ofPorts, rules);
  }

  takeGateway({ name, listeners }: Gateway): void {
    const hosts = listeners.flatMap((listener) => (listener.protocol === 'http' ? listener.virtualHosts : []));
    const rules = hosts.flatMap((host) => host.rules);
    this.#take(`gateway ${name}`, [], rules);
  }

  forgetService(name: QualifiedName): void {
    this.#byOwner.delete(`service ${name}`);
  }

  /** What limits all that goes to the endpoints of a port; almost always `undefined`. */
  ofPort(target: BackendTarget): Breaker | undefined {
    return this.#byOwner.get(`service ${target.service}`)?.get(portTarget(target));
  }

  /** What limits the requests of a rule, wherever they go; almost always `undefined`. */
  ofRule(rule: HttpRule): readonly Breaker[] | undefined {
    return this.#byRule.get(rule);
  }

  get all(): readonly Breaker[] {
    return [...this.#byOwner.values()].flatMap((breakers) => [...breakers.values()]);
  }

  #take(owner: string, ofPorts: readonly Wanted[], rules: readonly HttpRule[]): void {
    const former = this.#byOwner.get(owner);
    const breakers = new Map<string, Breaker>();
    const obtain = (target: string, settings: CircuitBreaker): Breaker => {
      const breaker = breakers.get(target) ?? former?.get(target) ?? new Breaker(target, settings);
      breaker.configure(settings);
      breakers.set(target, breaker);
      return breaker;
    };
    for (const [target, settings] of ofPorts) obtain(target, settings);
    for (const rule of rules) {
      if (!rule.circuitBreakers) continue;
      const ofRule = rule.circuitBreakers.map((settings) => obtain(ruleTarget(rule, settings), settings));
      this.#byRule.set(rule, ofRule);
    }
    if (breakers.size > 0) this.#byOwner.set(owner, breakers);
    else this.#byOwner.delete(owner);
  }
}

type Wanted = readonly [target: string, settings: CircuitBreaker];

function portTarget({ service, port }: BackendTarget): string {
  return `${service}:${port}`;
}
