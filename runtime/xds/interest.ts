import type { ResourceKind } from '../model/index.ts';
import type { DeltaRequest, DeltaResponse } from './delta-messages.ts';
import { typeUrl } from './resource-types.ts';

const wildcard = '*';

/** What a proxy wants of one kind and which versions it has: the client's half of delta xDS. */
export class Interest {
  readonly #kind: ResourceKind;
  #names: ReadonlySet<string> = new Set();
  readonly #versions = new Map<string, string>();

  constructor(kind: ResourceKind) {
    this.#kind = kind;
  }

  /** The first request of a stream; none where nothing is wanted, as an empty list would mean everything. */
  opening() {
    if (this.#names.size === 0) return undefined;
    return {
      typeUrl: typeUrl(this.#kind),
      resourceNamesSubscribe: [...this.#names],
      initialResourceVersions: Object.fromEntries(this.#versions),
    };
  }

  /** Wants other names from now on; gives the request that says so on an open stream. */
  change(names: ReadonlySet<string>): DeltaRequest | undefined {
    const before = this.#names;
    this.#names = names;
    const resourceNamesSubscribe = [...names].filter((name) => !before.has(name));
    const resourceNamesUnsubscribe = [...before].filter((name) => !names.has(name));
    for (const name of this.#versions.keys()) if (!this.wants(name)) this.#versions.delete(name);
    if (resourceNamesSubscribe.length + resourceNamesUnsubscribe.length === 0) return undefined;
    return { typeUrl: typeUrl(this.#kind), resourceNamesSubscribe, resourceNamesUnsubscribe };
  }

  wants(name: string): boolean {
    return this.#names.has(name) || this.#names.has(wildcard);
  }

  /** Remembers that a response was applied, but for what was refused of it: there the version before is in force. */
  accept(response: DeltaResponse, refused: ReadonlyMap<string, string>): void {
    for (const { name, version } of response.resources) {
      if (this.wants(name) && !refused.has(name)) this.#versions.set(name, version);
    }
    for (const name of response.removedResources) this.#versions.delete(name);
  }
}
