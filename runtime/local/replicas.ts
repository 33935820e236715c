import type { PodPlan } from './plan.ts';
import { type Host, Pod } from './pod.ts';

/** Keeps as many pods of each workload running as the plan says, replacing those of an older revision. */
export class Replicas {
  readonly #host: Host;
  readonly #pods = new Set<Pod>();
  readonly #draining = new Map<Pod, Promise<void>>();
  /** `namespace/name` of all pods, those that are being drained too. */
  readonly #names = new Set<string>();
  #plans: ReadonlyMap<string, PodPlan> = new Map();
  /** One step at a time: starting a pod waits for ports. */
  #work: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(host: Host) {
    this.#host = {
      ...host,
      onReadiness: (pod) => {
        host.onReadiness(pod);
        void this.#reconcile();
      },
    };
  }

  /** All that are not being drained. */
  get pods(): readonly Pod[] {
    return [...this.#pods];
  }

  /** Whether every pod of the plan runs, in its newest revision, and is ready. */
  get complete(): boolean {
    const isComplete = (plan: PodPlan) => this.#current(plan).filter(({ ready }) => ready).length >= plan.replicas;
    return [...this.#plans.values()].every(isComplete);
  }

  apply(plans: readonly PodPlan[]): Promise<void> {
    this.#plans = new Map(plans.map((plan) => [plan.workload, plan]));
    return this.#reconcile();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    // What is being drained has no more time either.
    const stopAll = () => Promise.all([...this.#pods, ...this.#draining.keys()].map((pod) => pod.stop()));
    await stopAll();
    await this.#work;
    // One may have been about to start.
    await stopAll();
    await Promise.all(this.#draining.values());
    this.#pods.clear();
  }

  #reconcile(): Promise<void> {
    this.#work = this.#work.then(() => this.#step());
    return this.#work;
  }

  async #step(): Promise<void> {
    for (const pod of this.#pods) if (!this.#plans.has(pod.plan.workload)) this.#drain(pod);
    for (const plan of this.#plans.values()) {
      const current = this.#current(plan);
      const outdated = this.#of(plan).filter((pod) => !current.includes(pod));
      // A gateway's port can be had once only: the old one goes first.
      if (plan.gateway) for (const pod of outdated) await this.#drain(pod);
      for (let missing = plan.replicas - current.length; missing > 0 && !this.#stopped; missing--) {
        this.#pods.add(await Pod.start(plan, this.#freeName(plan), this.#host));
      }
      for (const pod of current.slice(plan.replicas)) this.#drain(pod);
      if (current.filter(({ ready }) => ready).length >= plan.replicas) for (const pod of outdated) this.#drain(pod);
    }
  }

  #of(plan: PodPlan): Pod[] {
    return [...this.#pods].filter((pod) => pod.plan.workload === plan.workload);
  }

  #current(plan: PodPlan): Pod[] {
    return this.#of(plan).filter((pod) => pod.plan.revision === plan.revision);
  }

  #drain(pod: Pod): Promise<void> {
    if (!this.#pods.delete(pod)) return Promise.resolve();
    const done = pod.drain().finally(() => {
      this.#draining.delete(pod);
      this.#names.delete(`${pod.plan.namespace}/${pod.name}`);
    });
    this.#draining.set(pod, done);
    return done;
  }

  /** `reviews-v1-0`, or the next number that no pod has, not even one that is still finishing. */
  #freeName({ deployment, namespace }: PodPlan): string {
    for (let ordinal = 0; ; ordinal++) {
      const name = `${deployment}-${ordinal}`;
      const key = `${namespace}/${name}`;
      if (this.#names.has(key)) continue;
      this.#names.add(key);
      return name;
    }
  }
}
