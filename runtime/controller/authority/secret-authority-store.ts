import { z } from 'zod';
import { type AuthorityFiles, isOwnRoot } from '../../identity/authority.ts';
import { type KubernetesApi, type RawObject, unlessConflict } from '../../kubernetes/index.ts';
import { labels } from '../../resources/index.ts';
import type { AuthorityStore, StoredAuthority } from './authority-store.ts';
import { type AuthorityTexts, formatTexts, parseTexts, unreadable } from './authority-texts.ts';

/** The Secret that holds the authority. */
const authoritySecret = 'meshwright-ca';
/** On that Secret: asks for a new root; its value says when, for people. */
const rotateAnnotation = 'meshwright.dev/rotate';

const kind = { apiVersion: 'v1', kind: 'Secret' } as const;
const managedBy = 'meshwright';
/** As cert-manager writes them; the last one only of ours. */
const names: AuthorityTexts = { certificate: 'tls.crt', key: 'tls.key', roots: 'ca.crt', rotation: 'rotation.json' };
const schema = z.object({ data: z.record(z.string(), z.string()).nullish() });

/**
 * Keeps the authority in a Secret of type kubernetes.io/tls. One that lacks the label
 * `app.kubernetes.io/managed-by: meshwright`, or whose certificate Meshwright did not make, is somebody else's and only
 * read.
 */
export class SecretAuthorityStore implements AuthorityStore {
  readonly source: string;
  readonly #api: KubernetesApi;
  readonly #namespace: string;

  constructor(options: { readonly api: KubernetesApi; readonly namespace: string }) {
    this.source = `Secret ${options.namespace}/${authoritySecret}`;
    this.#api = options.api;
    this.#namespace = options.namespace;
  }

  async read(): Promise<StoredAuthority | undefined> {
    const secret = await this.#get();
    if (!secret) return undefined;
    const parsed = schema.safeParse(secret);
    if (!parsed.success) throw unreadable(this.source, 'its data is not what a Secret has', 'create it again');
    const text = (name: keyof AuthorityTexts) =>
      Buffer.from(parsed.data.data?.[names[name]] ?? '', 'base64').toString('utf8');
    const texts = { certificate: text('certificate'), key: text('key'), roots: text('roots') };
    // Who puts certificates of their own into our Secret may leave our label on it, and our notes in it.
    const managed = secret.metadata.labels?.[labels.appManagedBy] === managedBy && isOwnRoot(texts.certificate);
    return {
      files: parseTexts({ ...texts, ...(managed && { rotation: text('rotation') }) }, { names, source: this.source }),
      managed,
      rotationRequested: secret.metadata.annotations?.[rotateAnnotation] !== undefined,
      version: versionOf(secret),
    };
  }

  create(files: AuthorityFiles): Promise<boolean> {
    const metadata = {
      name: authoritySecret,
      namespace: this.#namespace,
      labels: { [labels.appManagedBy]: managedBy },
    };
    return unlessConflict(this.#api.create({ ...kind, metadata, type: 'kubernetes.io/tls', data: encode(files) }));
  }

  async replace(files: AuthorityFiles, previous: StoredAuthority): Promise<boolean> {
    const secret = await this.#get();
    if (!secret || versionOf(secret) !== previous.version || !previous.managed) return false;
    const { [rotateAnnotation]: _met, ...annotations } = secret.metadata.annotations ?? {};
    return unlessConflict(
      this.#api.replace({ ...secret, metadata: { ...secret.metadata, annotations }, data: encode(files) }),
    );
  }

  /** Asks for a new root. @returns `false`: the Secret is not there, or changed meanwhile */
  async requestRotation(now: number): Promise<boolean> {
    const secret = await this.#get();
    if (!secret) return false;
    const annotations = { ...secret.metadata.annotations, [rotateAnnotation]: new Date(now).toISOString() };
    return unlessConflict(this.#api.replace({ ...secret, metadata: { ...secret.metadata, annotations } }));
  }

  #get(): Promise<RawObject | undefined> {
    return this.#api.read({ ...kind, namespace: this.#namespace, name: authoritySecret });
  }
}

function versionOf({ metadata }: RawObject): string {
  return `${metadata.uid}/${metadata.resourceVersion}`;
}

function encode(files: AuthorityFiles): Record<string, string> {
  const texts = Object.entries(formatTexts(files)) as [keyof AuthorityTexts, string][];
  return Object.fromEntries(texts.map(([name, text]) => [names[name], Buffer.from(text).toString('base64')]));
}
