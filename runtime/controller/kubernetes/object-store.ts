import { isDeepStrictEqual } from 'node:util';
import type { RawObject } from '../../kubernetes/index.ts';
import type { Finding } from '../../model/index.ts';
import { type KubernetesObject, parseObject } from '../../resources/index.ts';
import { objectKey, type ReflectorSink } from './reflector.ts';
import { slim } from './slim.ts';

/** What the cluster has of an object. */
export interface LiveObject {
  readonly apiVersion: string;
  readonly resourceVersion: string | undefined;
  /** Of the last version that could be read. */
  readonly object?: KubernetesObject;
  /** `undefined` for kinds whose status nobody wants. */
  readonly status: unknown;
}

interface Entry extends LiveObject {
  /** Of the newest version. */
  readonly findings: readonly Finding[];
}

export interface ObjectStoreOptions {
  /** Whether the status of the objects is kept, for who writes it. */
  readonly keepStatus: boolean;
  /** What the mesh reads of these objects is different now. */
  readonly onChange: () => void;
  /** Something else of an object is different now, such as its status. */
  readonly onTouch: (key: string) => void;
}

/** Findings of objects that do not parse, of one kind; more help nobody. */
const maxFindings = 100;

/** The objects of one kind, each parsed once a version; of a version that does not parse the one before stays. */
export class ObjectStore implements ReflectorSink {
  readonly #options: ObjectStoreOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: ObjectStoreOptions) {
    this.#options = options;
  }

  get(key: string): LiveObject | undefined {
    return this.#entries.get(key);
  }

  entries(): Iterable<[string, LiveObject]> {
    return this.#entries;
  }

  objects(): KubernetesObject[] {
    return [...this.#entries.values()].flatMap(({ object }) => object ?? []);
  }

  findings(): Finding[] {
    const found: Finding[] = [];
    for (const { findings } of this.#entries.values()) {
      found.push(...findings);
      if (found.length >= maxFindings) break;
    }
    return found.slice(0, maxFindings);
  }

  update(raw: RawObject): void {
    const key = objectKey(raw.metadata);
    const { resourceVersion } = raw.metadata;
    const before = this.#entries.get(key);
    if (before && resourceVersion !== undefined && before.resourceVersion === resourceVersion) return;
    const { object, findings = [] } = parseObject(raw, 'cluster');
    const parsed = object && slim(object);
    const same = parsed === undefined || isDeepStrictEqual(parsed, before?.object);
    this.#entries.set(key, {
      apiVersion: raw.apiVersion,
      resourceVersion,
      object: same ? before?.object : parsed,
      findings,
      status: this.#options.keepStatus ? raw.status : undefined,
    });
    if (!same || !isDeepStrictEqual(findings, before?.findings ?? [])) this.#options.onChange();
    this.#options.onTouch(key);
  }

  remove(key: string): void {
    if (this.#entries.delete(key)) this.#options.onChange();
  }

  retain(keys: ReadonlySet<string>): void {
    for (const key of this.#entries.keys()) if (!keys.has(key)) this.remove(key);
  }
}
