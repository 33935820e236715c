export interface ObjectKind {
  readonly apiVersion: string;
  readonly kind: string;
}

export interface ObjectRef extends ObjectKind {
  /** @default - `default`, for kinds that live in a namespace */
  readonly namespace?: string;
  readonly name: string;
}

export interface ObjectMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly creationTimestamp?: string | null;
  readonly [field: string]: unknown;
}

/** An object as the API server has it; who reads more than its metadata parses it first. */
export interface RawObject extends ObjectKind {
  readonly metadata: ObjectMetadata;
  readonly [field: string]: unknown;
}

/** Which objects of a kind. */
export interface Selection {
  /** @default - all namespaces */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ListOptions extends Selection {
  /** Objects in a page. @default - as many as the server gives */
  readonly limit?: number;
  /** {@link ObjectList.continueFrom} of the page before. */
  readonly continueFrom?: string;
}

export interface ObjectList {
  readonly items: readonly RawObject[];
  /** Where a watch goes on from. */
  readonly resourceVersion: string;
  /** There where this is not the last page. */
  readonly continueFrom?: string;
}

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';

export interface WatchOptions extends Selection {
  readonly resourceVersion: string;
  /** Ends the watch. */
  readonly signal: AbortSignal;
  /** The server has begun to watch. */
  readonly onOpen?: () => void;
  /** Of a `BOOKMARK` only the kind and `metadata.resourceVersion` mean anything. */
  readonly onEvent: (type: WatchEventType, object: RawObject) => void;
  /** Milliseconds without event or bookmark after which the watch counts as dead. @default 100000 */
  readonly idleTimeout?: number;
  /** Milliseconds after which the server ends the watch by itself. @default - the server's: 30 to 60 minutes */
  readonly lifetime?: number;
}

export interface ApplyOptions {
  readonly fieldManager: string;
  /** Takes fields over from other managers. @default false */
  readonly force?: boolean;
  /** Answers what would be, and changes nothing. @default false */
  readonly dryRun?: boolean;
  readonly subresource?: 'status';
}

export interface TokenReview {
  readonly authenticated: boolean;
  /** `system:serviceaccount:<namespace>:<name>` for a service account. */
  readonly username?: string;
  /** Those asked for that the token is meant for. */
  readonly audiences?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  readonly error?: string;
}

/**
 * What is needed of a Kubernetes API server. Every call has a time-out and rejects with `ApiError`, whose status is 0
 * where no answer came.
 */
export interface KubernetesApi {
  /** @returns `undefined` where there is no such object */
  read(ref: ObjectRef): Promise<RawObject | undefined>;
  /** One page of the objects of a kind; rejects with status 404 where the server does not know the kind. */
  list(kind: ObjectKind, options?: ListOptions): Promise<ObjectList>;
  /**
   * Tells of changes until the server ends the watch or the signal does. Rejects with status 410 where the
   * `resourceVersion` is too old: list again.
   */
  watch(kind: ObjectKind, options: WatchOptions): Promise<void>;
  /** Rejects with status 409 where the object exists. */
  create(object: RawObject): Promise<RawObject>;
  /** Rejects with status 409 where the object is no longer of its `metadata.resourceVersion`. */
  replace(object: RawObject, subresource?: 'status'): Promise<RawObject>;
  /** Server-side apply. Rejects with status 409 where another manager has a field and `force` is not set. */
  apply(object: RawObject, options: ApplyOptions): Promise<RawObject>;
  /** An object that is not there is no error. */
  remove(ref: ObjectRef): Promise<void>;
  /** Asks whose token it is. */
  reviewToken(token: string, audiences: readonly string[]): Promise<TokenReview>;
  /** The server's version: `v1.36.3`. */
  version(): Promise<string>;
  /** Ends all connections. */
  close(): void;
}
