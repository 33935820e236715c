import { hash } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { type Resource, type ResourceKind, resourceKinds } from '../model/index.ts';
import { canonicalJson } from './canonical-json.ts';
import { type Resource as DiscoveryResource, ResourceSchema } from './gen/envoy/service/discovery/v3/discovery_pb.js';
import { encodeResource } from './resource-types.ts';

/** Names whose resource is new, different or gone, by kind. */
export type DiscoveryChange = ReadonlyMap<ResourceKind, readonly string[]>;

/** A resource as every subscriber gets it. */
export interface EncodedResource {
  readonly version: string;
  readonly message: DiscoveryResource;
  /** Bytes of the payload. */
  readonly size: number;
  /** What it was made from, to know it again. */
  readonly source: Resource;
}

type ResourcesByName = ReadonlyMap<string, EncodedResource>;

/** All resources of the mesh, each encoded once, shared by every proxy that subscribes to it. */
export class DiscoveryCache {
  #kinds = new Map<ResourceKind, ResourcesByName>(resourceKinds.map((kind) => [kind, new Map()]));
  readonly #listeners = new Set<(change: DiscoveryChange) => void>();
  #encodings = 0;

  /**
   * Takes the whole state of the mesh. Subscribers hear of what differs; where nothing does, nothing happens. An
   * object that is identical (`===`) to the one before is not even looked into.
   */
  set(resources: readonly Resource[]): DiscoveryChange {
    const next = new Map(resourceKinds.map((kind) => [kind, new Map<string, EncodedResource>()]));
    for (const resource of resources) next.get(resource.kind)?.set(resource.name, this.#encode(resource));
    const change = new Map<ResourceKind, readonly string[]>();
    for (const [kind, after] of next) {
      const names = differences(this.#kinds.get(kind)!, after);
      if (names.length > 0) change.set(kind, names);
    }
    this.#kinds = next;
    if (change.size > 0) for (const listener of this.#listeners) listener(change);
    return change;
  }

  get(kind: ResourceKind, name: string): EncodedResource | undefined {
    return this.#kinds.get(kind)!.get(name);
  }

  names(kind: ResourceKind): Iterable<string> {
    return this.#kinds.get(kind)!.keys();
  }

  /** The version of a resource: a hash of its content. */
  version(kind: ResourceKind, name: string): string | undefined {
    return this.get(kind, name)?.version;
  }

  /** How many encodings were ever made. */
  get encodings(): number {
    return this.#encodings;
  }

  /** Calls back after every change. Returns what ends it. */
  onChange(listener: (change: DiscoveryChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #encode(source: Resource): EncodedResource {
    const { kind, name } = source;
    const before = this.get(kind, name);
    if (before?.source === source) return before;
    const text = canonicalJson(source);
    const version = hash('sha256', text, 'hex').slice(0, 16);
    if (before?.version === version) return { ...before, source };
    this.#encodings++;
    const payload = encodeResource(kind, text);
    const message = create(ResourceSchema, { name, version, resource: payload });
    return { version, message, size: payload.value.length, source };
  }
}

function differences(before: ResourcesByName, after: ResourcesByName): string[] {
  const changed = [...after]
    .filter(([name, { version }]) => before.get(name)?.version !== version)
    .map(([name]) => name);
  const gone = [...before.keys()].filter((name) => !after.has(name));
  return [...changed, ...gone];
}
