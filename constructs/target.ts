import type { Backend, ITarget } from './interfaces.ts';

/** A target that gets a share of the requests. */
export class Target implements ITarget {
  /**
   * @param to - what gets the requests
   * @param weight - its share, relative to the sum of all weights of the rule; 0 sends nothing
   */
  static weighted(to: ITarget, weight: number): Target {
    return new Target({ ...to._backend(), weight });
  }

  readonly #backend: Backend;

  private constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** @internal */
  _backend(): Backend {
    return this.#backend;
  }
}
