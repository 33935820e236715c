import {
  type Authority,
  type AuthorityDescription,
  CertificateAuthority,
  createRoot,
  defaultOverlap,
  dueStep,
  phaseEnd,
  type ServingRequest,
  type SignedCertificate,
  takeStep,
} from '../../identity/authority.ts';
import type { Logger } from '../../identity/index.ts';
import { type Clock, type Finding, FindingsError, finding, formatFinding, type SpiffeId } from '../../model/index.ts';
import type { AuthorityStore, StoredAuthority } from './authority-store.ts';

export interface AuthorityKeeperOptions {
  readonly store: AuthorityStore;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Milliseconds that two roots are believed before the new one signs, and again after. @default 25 hours */
  readonly overlap?: number;
}

/** A store in which, by then, there is an authority. */
const attempts = 5;

/**
 * The authority of a mesh as its store has it now: what changes there is taken up while running. What cannot be used is
 * told of, and the last good authority goes on.
 */
export class AuthorityKeeper implements Authority {
  readonly #options: AuthorityKeeperOptions;
  readonly #overlap: number;
  readonly #listeners = new Set<() => void>();
  #stored: StoredAuthority;
  #authority: CertificateAuthority;
  #problems: readonly Finding[] = [];

  private constructor(options: AuthorityKeeperOptions, stored: StoredAuthority, authority: CertificateAuthority) {
    this.#options = options;
    this.#overlap = options.overlap ?? defaultOverlap;
    this.#stored = stored;
    this.#authority = authority;
  }

  /**
   * Takes up the authority of a store, or makes a root where there is none, or where one of our own has expired; of
   * several controllers that do so at once the first one's counts. Rejects with a `FindingsError` where what is there
   * cannot be used.
   */
  static async open(options: AuthorityKeeperOptions): Promise<AuthorityKeeper> {
    const { store, trustDomain, clock, logger } = options;
    for (let attempt = 0; attempt < attempts; attempt++) {
      const stored = await store.read();
      if (stored) {
        const keeper = new AuthorityKeeper(options, stored, await loadAuthority(stored.files, options));
        // Without one that signs there is no controller, and so no leader that could replace it.
        if (keeper.#authority.hasExpired) await keeper.advance();
        return keeper;
      }
      const root = await createRoot({ trustDomain, clock });
      const created = await store.create({ ...root, rootPem: root.certificatePem });
      if (created) logger.info({ source: store.source, trustDomain }, 'a root was made');
    }
    throw new FindingsError([gone(store.source)]);
  }

  get trustDomain(): string {
    return this.#authority.trustDomain;
  }

  get bundlePem(): string {
    return this.#authority.bundlePem;
  }

  sign(csrPem: string, id: SpiffeId, ttl?: number): Promise<SignedCertificate> {
    return this.#authority.sign(csrPem, id, ttl);
  }

  signServing(request: ServingRequest): Promise<SignedCertificate> {
    return this.#authority.signServing(request);
  }

  /** Calls back when who signs or what is believed has changed. Returns what ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The authority without its secrets. */
  describe(): AuthorityDescription & {
    /** Whether it is Meshwright's own, which renews itself. */
    readonly managed: boolean;
    /** When the phase ends, in wall-clock milliseconds; `undefined` while steady. */
    readonly phaseEnd?: number;
  } {
    const { managed, files } = this.#stored;
    const end = phaseEnd(files, { overlap: this.#overlap });
    const description = this.#authority.describe(files.rotation);
    return { ...description, managed, ...(end !== undefined && { phaseEnd: end }) };
  }

  /** What is wrong now with the store's content, or with the validity of what is used. */
  findings(): readonly Finding[] {
    return [...this.#problems, ...this.#authority.findings()];
  }

  /** Reads the store and takes up what changed. Rejects where the store cannot be reached. */
  async reload(): Promise<void> {
    const { store } = this.#options;
    try {
      const stored = await store.read();
      if (stored) await this.#take(stored);
      else this.#tell([gone(store.source)]);
    } catch (error) {
      if (!(error instanceof FindingsError)) throw error;
      this.#tell(error.findings);
    }
  }

  /** Takes the step of a change of root that is due, if any. Only one controller should: the leader. */
  async advance(): Promise<void> {
    const { store, clock, trustDomain, logger } = this.#options;
    const { files, managed, rotationRequested } = this.#stored;
    if (!managed) return;
    const step = dueStep(files, { now: clock.wallTime(), overlap: this.#overlap, requested: rotationRequested });
    if (!step) return;
    const next = await takeStep(step, files, { trustDomain, clock });
    // What cannot be read again must not be written.
    await loadAuthority(next, this.#options);
    const replaced = await store.replace(next, this.#stored);
    if (replaced) logger.info({ source: store.source, step }, 'the root is being changed');
    await this.reload();
  }

  async #take(stored: StoredAuthority): Promise<void> {
    const { logger, store } = this.#options;
    const authority = await loadAuthority(stored.files, this.#options);
    const last = this.#authority;
    this.#stored = stored;
    this.#authority = authority;
    this.#tell(stored.rotationRequested && !stored.managed ? [notOurs(store.source)] : []);
    if (authority.bundlePem === last.bundlePem && authority.certificatePem === last.certificatePem) return;
    const { issuer, roots, phase } = authority.describe(stored.files.rotation);
    logger.info({ source: store.source, phase, issuer, roots }, 'the certificate authority changed');
    if (!overlap(last, authority)) {
      const warning = replacedAtOnce(store.source);
      logger.warn({ finding: warning }, formatFinding(warning));
    }
    for (const listener of this.#listeners) listener();
  }

  /** Takes note of what is wrong, and logs what was not known. */
  #tell(problems: readonly Finding[]): void {
    const known = new Set(this.#problems.map(formatFinding));
    this.#problems = problems;
    for (const problem of problems) {
      if (!known.has(formatFinding(problem))) this.#options.logger.warn({ finding: problem }, formatFinding(problem));
    }
  }
}

/** Reads an authority, and the next root if one is announced. */
async function loadAuthority(
  files: StoredAuthority['files'],
  options: AuthorityKeeperOptions,
): Promise<CertificateAuthority> {
  const { trustDomain, clock, store } = options;
  const common = { trustDomain, clock, source: store.source };
  if (files.rotation?.phase === 'announced') {
    const { certificatePem, keyPem } = files.rotation;
    await CertificateAuthority.load({ certificatePem, keyPem, rootPem: files.rootPem, ...common });
  }
  return CertificateAuthority.load({ ...files, ...common });
}

/** Whether certificates of both are believed by who has the roots of either. */
function overlap(last: CertificateAuthority, next: CertificateAuthority): boolean {
  const [before, after] = [last.describe(), next.describe()];
  const believes = (roots: typeof before.roots, root: typeof before.root) =>
    roots.some(({ fingerprint }) => fingerprint === root.fingerprint);
  return believes(before.roots, after.root) && believes(after.roots, before.root);
}

function gone(source: string): Finding {
  return finding('MW1610', {
    object: source,
    message: 'it is not there any more; the controller goes on with what it has read',
    hint: 'restore it; or restart the controller to have it make a new root',
  });
}

function notOurs(source: string): Finding {
  return finding('MW1611', {
    object: source,
    message: 'a new root was asked for, but this authority is not one that Meshwright made',
    hint: 'renew it where it comes from, and take the annotation away',
  });
}

function replacedAtOnce(source: string): Finding {
  return finding('MW1609', {
    object: source,
    message:
      'the old and the new authority do not believe each other: calls fail until each proxy has a new certificate',
    hint: 'put old and new roots into ca.crt for a day before another root signs, and for a day after',
  });
}
