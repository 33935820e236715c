import type { KubernetesApi, ObjectKind, ObjectRef, RawObject, Selection } from '../../kubernetes/index.ts';

/** What somebody wants to do to objects of a kind. */
export interface Action {
  readonly verb: string;
  readonly group: string;
  /** The plural, as in URLs. */
  readonly resource: string;
  readonly namespace?: string;
}

/** All that checks ask of a cluster. Rejects with `ApiError`. */
export interface ClusterView {
  version(): Promise<string>;
  /** `undefined`: there is no such object. */
  read(ref: ObjectRef): Promise<RawObject | undefined>;
  /** All that is selected of a kind. */
  list(kind: ObjectKind, options?: Selection): Promise<readonly RawObject[]>;
  /** Whether who asks may do it. */
  may(action: Action): Promise<boolean>;
  /** What would be made of an object, were it created. Nothing is. */
  tryOut(object: RawObject): Promise<RawObject>;
}

const pageSize = 500;

/** A look at a cluster: what was asked once is remembered. Look again with another one. */
export function lookAt(api: KubernetesApi): ClusterView {
  const known = new Map<string, Promise<unknown>>();
  const once = <T>(question: unknown, ask: () => Promise<T>): Promise<T> => {
    const key = JSON.stringify(question);
    const answer = known.get(key) ?? ask();
    known.set(key, answer);
    return answer as Promise<T>;
  };
  return {
    version: () => once('version', () => api.version()),
    read: (ref) => once(['read', ref], () => api.read(ref)),
    list: (kind, options = {}) => once(['list', kind, options], () => listAll(api, kind, options)),
    async may({ verb, group, resource, namespace }) {
      const { status } = await api.create({
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        metadata: { name: '' },
        spec: { resourceAttributes: { verb, group, resource, namespace } },
      });
      return (status as { readonly allowed?: boolean } | undefined)?.allowed === true;
    },
    tryOut: (object) => api.apply(object, { fieldManager: 'meshwright-check', dryRun: true }),
  };
}

async function listAll(api: KubernetesApi, kind: ObjectKind, options: Selection): Promise<readonly RawObject[]> {
  const items: RawObject[] = [];
  let continueFrom: string | undefined;
  do {
    const page = await api.list(kind, { ...options, limit: pageSize, continueFrom });
    items.push(...page.items);
    ({ continueFrom } = page);
  } while (continueFrom !== undefined);
  return items;
}
