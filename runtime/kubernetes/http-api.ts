import * as z from 'zod';
import { type Clock, systemClock } from '../model/index.ts';
import type {
  KubernetesApi,
  ListOptions,
  ObjectKind,
  ObjectRef,
  RawObject,
  Selection,
  TokenReview,
  WatchEventType,
  WatchOptions,
} from './api.ts';
import { ApiError } from './api-error.ts';
import { type Credentials, type CredentialsOptions, findCredentials } from './credentials.ts';
import { ResourcePaths } from './resource-paths.ts';
import { type Call, Transport } from './transport.ts';

export interface KubernetesApiOptions extends CredentialsOptions {
  /** @default - the machine's clock */
  readonly clock?: Clock;
}

/** The server sends a bookmark each minute. */
const defaultIdleTimeout = 100_000;

// What is created for its answer only, such as a SelfSubjectAccessReview, has no name.
const metadata = z.looseObject({ name: z.string().default(''), resourceVersion: z.string().optional() });
const objectSchema = z.looseObject({ apiVersion: z.string(), kind: z.string(), metadata });
const listSchema = z.object({
  metadata: z.object({ resourceVersion: z.string(), continue: z.string().optional() }),
  // Servers leave out the apiVersion and kind that a list has already.
  items: z.array(z.looseObject({ metadata })).nullable(),
});
const eventSchema = z.object({ type: z.string(), object: z.looseObject({}) });
const bookmarkSchema = z.looseObject({ metadata: z.looseObject({ resourceVersion: z.string() }) });
const statusSchema = z.object({
  code: z.int().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
});
const reviewSchema = z.object({
  status: z.object({
    authenticated: z.boolean().optional(),
    user: z
      .object({ username: z.string().optional(), extra: z.record(z.string(), z.array(z.string())).optional() })
      .optional(),
    audiences: z.array(z.string()).optional(),
    error: z.string().optional(),
  }),
});
const versionSchema = z.object({ gitVersion: z.string() });

/**
 * The API server of the cluster that this process runs in; outside of one, that of a kubeconfig. Connects with the
 * first call, which rejects where there is neither.
 */
export function openKubernetesApi(options: KubernetesApiOptions = {}): KubernetesApi {
  const { clock = systemClock } = options;
  return connectKubernetesApi(() => findCredentials(options, clock), clock);
}

/** @param find - asked until it resolves */
export function connectKubernetesApi(find: () => Promise<Credentials>, clock: Clock): KubernetesApi {
  let found: Promise<Credentials> | undefined;
  const credentials = () => {
    found ??= find().catch((error) => {
      found = undefined;
      throw error;
    });
    return found;
  };
  const transport = new Transport(credentials, clock);
  const paths = new ResourcePaths((path) => transport.call({ method: 'GET', path }));
  const change = async (call: Call) => objectSchema.parse(await transport.call(call));

  return {
    async read(ref) {
      const path = await paths.object(ref);
      try {
        return objectSchema.parse(await transport.call({ method: 'GET', path }));
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return undefined;
        throw error;
      }
    },

    async list(kind, options: ListOptions = {}) {
      const path = await paths.collection(kind, options.namespace);
      const { limit, continueFrom } = options;
      const query = { ...selectors(options), limit: limit?.toString(), continue: continueFrom };
      const answer = await forgetting(kind, () => transport.call({ method: 'GET', path, query }));
      const { items, metadata } = listSchema.parse(answer);
      return {
        items: (items ?? []).map((item): RawObject => ({ ...item, apiVersion: kind.apiVersion, kind: kind.kind })),
        resourceVersion: metadata.resourceVersion,
        continueFrom: metadata.continue || undefined,
      };
    },

    async watch(kind, options: WatchOptions) {
      const path = await paths.collection(kind, options.namespace);
      const query = {
        ...selectors(options),
        watch: '1',
        allowWatchBookmarks: 'true',
        resourceVersion: options.resourceVersion,
        timeoutSeconds: options.lifetime === undefined ? undefined : Math.ceil(options.lifetime / 1000).toString(),
      };
      const { signal, idleTimeout = defaultIdleTimeout, onOpen, onEvent } = options;
      const onLine = (line: string) => readEvent(path, line, onEvent);
      const stream = () => transport.stream({ method: 'GET', path, query }, { signal, idleTimeout, onOpen, onLine });
      await forgetting(kind, stream);
    },

    async create(object) {
      const path = await paths.home(refOf(object));
      return change({ method: 'POST', path, body: object });
    },

    async replace(object, subresource) {
      const path = await paths.object(refOf(object), subresource);
      return change({ method: 'PUT', path, body: object });
    },

    async apply(object, { fieldManager, force, dryRun, subresource }) {
      const path = await paths.object(refOf(object), subresource);
      const query = { fieldManager, force: force ? 'true' : undefined, dryRun: dryRun ? 'All' : undefined };
      return change({ method: 'PATCH', path, query, body: object, contentType: 'application/apply-patch+yaml' });
    },

    async remove(ref) {
      const path = await paths.object(ref);
      try {
        await transport.call({ method: 'DELETE', path });
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 404)) throw error;
      }
    },

    async reviewToken(token, audiences): Promise<TokenReview> {
      const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences } };
      const path = '/apis/authentication.k8s.io/v1/tokenreviews';
      const { status } = reviewSchema.parse(await transport.call({ method: 'POST', path, body }));
      return {
        authenticated: status.authenticated ?? false,
        username: status.user?.username,
        audiences: status.audiences,
        extra: status.user?.extra,
        error: status.error,
      };
    },

    async version() {
      return versionSchema.parse(await transport.call({ method: 'GET', path: '/version' })).gitVersion;
    },

    close: () => transport.close(),
  };

  /** A kind that is gone may come back under another name. */
  async function forgetting<T>(kind: ObjectKind, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) paths.forget(kind);
      throw error;
    }
  }
}

function refOf({ apiVersion, kind, metadata }: RawObject): ObjectRef {
  return { apiVersion, kind, namespace: metadata.namespace, name: metadata.name };
}

function selectors({ labelSelector, fieldSelector }: Selection) {
  return { labelSelector, fieldSelector };
}

const eventTypes: ReadonlySet<string> = new Set<WatchEventType>(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']);

function readEvent(path: string, line: string, onEvent: WatchOptions['onEvent']): void {
  const { type, object } = eventSchema.parse(JSON.parse(line));
  if (type === 'ERROR') {
    const { code = 500, reason = 'Unknown', message = '' } = statusSchema.parse(object);
    throw new ApiError(`GET ${path}: ${code} ${reason}: ${message}`, { status: code, reason });
  }
  if (!eventTypes.has(type)) return;
  const schema = type === 'BOOKMARK' ? bookmarkSchema : objectSchema;
  onEvent(type as WatchEventType, schema.parse(object) as RawObject);
}
