import * as z from 'zod';
import type { ObjectKind, ObjectRef } from './api.ts';
import { ApiError } from './api-error.ts';

const resourceList = z.object({
  resources: z.array(z.object({ name: z.string(), kind: z.string(), namespaced: z.boolean() })),
});

interface Resource {
  readonly plural: string;
  readonly namespaced: boolean;
}

type Kinds = ReadonlyMap<string, Resource>;

/** Group versions remembered at most. */
const maxKnown = 256;

/** Where the objects of a kind are: the API server is asked once for each group version. */
export class ResourcePaths {
  readonly #get: (path: string) => Promise<unknown>;
  readonly #known = new Map<string, Promise<Kinds>>();

  constructor(get: (path: string) => Promise<unknown>) {
    this.#get = get;
  }

  /** All objects of a kind, of one namespace or of all. */
  async collection(kind: ObjectKind, namespace?: string): Promise<string> {
    const { plural, namespaced } = await this.#find(kind);
    const inside = namespaced && namespace !== undefined ? `/namespaces/${segment(namespace)}` : '';
    return `${rootOf(kind.apiVersion)}${inside}/${plural}`;
  }

  /** Where objects of a namespace are created. */
  async home(ref: Omit<ObjectRef, 'name'>): Promise<string> {
    return this.collection(ref, ref.namespace ?? 'default');
  }

  async object(ref: ObjectRef, subresource?: string): Promise<string> {
    return `${await this.home(ref)}/${segment(ref.name)}${subresource ? `/${subresource}` : ''}`;
  }

  /** The kind is no longer where it was: the server is asked again. */
  forget({ apiVersion }: ObjectKind): void {
    this.#known.delete(apiVersion);
  }

  async #find({ apiVersion, kind }: ObjectKind): Promise<Resource> {
    let known = this.#known.get(apiVersion);
    if (!known) {
      known = this.#ask(apiVersion);
      if (this.#known.size >= maxKnown) this.#known.clear();
      this.#known.set(apiVersion, known);
    }
    let found: Resource | undefined;
    try {
      found = (await known).get(kind);
    } finally {
      // What is not there may come.
      if (!found && this.#known.get(apiVersion) === known) this.#known.delete(apiVersion);
    }
    if (found) return found;
    throw new ApiError(`the server has no kind ${kind} in ${apiVersion}`, { status: 404, reason: 'NotFound' });
  }

  async #ask(apiVersion: string): Promise<Kinds> {
    const { resources } = resourceList.parse(await this.#get(rootOf(apiVersion)));
    const objects = resources.filter(({ name }) => !name.includes('/'));
    return new Map(objects.map(({ kind, name, namespaced }) => [kind, { plural: name, namespaced }]));
  }
}

function rootOf(apiVersion: string): string {
  const parts = apiVersion.split('/').map(segment);
  return parts.length === 1 ? `/api/${parts[0]}` : `/apis/${parts.join('/')}`;
}

/** One segment of a path, and never a way out of it. */
function segment(text: string): string {
  if (!/^[A-Za-z0-9:_.-]+$/.test(text) || /^\.\.?$/.test(text)) {
    throw new Error(`${JSON.stringify(text)} cannot be a name in Kubernetes`);
  }
  return text;
}
