import { type Registration, unknown } from '../pulumi/monitor.ts';
import type { ApiServer } from './api-server.ts';

interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly resourceVersion?: string };
}

interface ResourceList {
  readonly resources?: readonly { readonly kind: string; readonly name: string }[];
}

/** Applies what Pulumi registers to an API server, as the Kubernetes provider does: server-side, as one field manager. */
export class ServerSideApply {
  readonly #server: ApiServer;
  readonly #plurals = new Map<string, string>();
  /** Paths, in order. */
  readonly #applied = new Set<string>();

  constructor(server: ApiServer) {
    this.#server = server;
  }

  async provide({ inputs, name }: Registration, preview: boolean): Promise<Record<string, unknown>> {
    const object = inputs as unknown as KubernetesObject;
    if (JSON.stringify(object).includes(unknown)) throw new Error(`${name} holds an unknown value`);
    const path = await this.#pathOf(object);
    const query = `fieldManager=pulumi&force=true&fieldValidation=Strict${preview ? '&dryRun=All' : ''}`;
    const type = 'application/apply-patch+yaml';
    const { status, body } = await this.#server.request<KubernetesObject>('PATCH', `${path}?${query}`, object, type);
    if (status >= 300) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
    if (!preview) this.#applied.add(path);
    if (object.kind === 'CustomResourceDefinition') await this.#established(path);
    return body as unknown as Record<string, unknown>;
  }

  /**
   * What was applied, as the server has it, with the owners of its fields. The version is left out: storing a default
   * of the status, as for a Gateway, changes that alone.
   */
  async objects(): Promise<ReadonlyMap<string, unknown>> {
    const entries = [...this.#applied].map(async (path) => {
      const { status, body } = await this.#server.request<KubernetesObject>('GET', path);
      if (status !== 200) return [];
      const { resourceVersion, ...metadata } = body.metadata;
      return [[path, { ...body, metadata }] as const];
    });
    return new Map((await Promise.all(entries)).flat());
  }

  /** Removes what was applied, the last first, each until it is gone; a namespace waits for a controller to empty it. */
  async remove(): Promise<void> {
    for (const path of [...this.#applied].reverse()) {
      const { status, body } = await this.#server.request('DELETE', path);
      if (status >= 300) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
      if (!isNamespace(path)) await this.#server.until(path, (reply) => reply.status === 404);
    }
  }

  #established(path: string): Promise<void> {
    type Definition = { status?: { conditions?: { type: string; status: string }[] } };
    return this.#server.until(path, ({ body }) =>
      ((body as Definition).status?.conditions ?? []).some(
        ({ type, status }) => type === 'Established' && status === 'True',
      ),
    );
  }

  async #pathOf({ apiVersion, kind, metadata }: KubernetesObject): Promise<string> {
    const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const key = `${base} ${kind}`;
    if (!this.#plurals.has(key)) {
      const { body } = await this.#server.request<ResourceList>('GET', base);
      const found = body.resources?.find((resource) => resource.kind === kind && !resource.name.includes('/'));
      if (!found) throw new Error(`no kind ${kind} in ${apiVersion}`);
      this.#plurals.set(key, found.name);
    }
    const namespace = metadata.namespace ? `/namespaces/${metadata.namespace}` : '';
    return `${base}${namespace}/${this.#plurals.get(key)}/${metadata.name}`;
  }
}

/** Whether a path is of a namespace, and not of something in it. */
export function isNamespace(path: string): boolean {
  return /^\/api\/v1\/namespaces\/[^/]+$/.test(path);
}
