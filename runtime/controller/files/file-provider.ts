import { type Clock, type Finding, finding, type Timer } from '../../model/index.ts';
import type { KubernetesObject } from '../../resources/index.ts';
import { type Manifest, type ParsedDocuments, parseManifest } from '../../resources/index.ts';
import { Debounce } from '../debounce.ts';
import type { Provider } from '../provider.ts';
import { DirectoryWatches } from './directory-watches.ts';
import { type ListedFile, listManifests, maxFiles } from './list-files.ts';
import { readBounded } from './read-file.ts';

export interface FileProviderOptions {
  /** Directories of manifests, read recursively. */
  readonly directories: readonly string[];
  readonly clock: Clock;
}

interface FileState {
  readonly signature: string;
  /** Of the last good version. */
  readonly objects: readonly KubernetesObject[];
  readonly documents: ParsedDocuments;
  /** Whether there was a good version yet. */
  readonly good: boolean;
  /** Of the newest version. */
  readonly findings: readonly Finding[];
}

const maxFileBytes = 16 << 20;
/** How often everything is looked at although no change was told of. */
const rescanInterval = 2_000;

/** Provides the objects of manifest files, and goes on doing so while they change. */
export function createFileProvider({ directories, clock }: FileProviderOptions): Provider {
  const tree = new ManifestTree(directories);
  let closed = false;
  let stopWatching = () => {};
  let scanning: Promise<void> | undefined;

  const watch = (onChange: (manifest: Manifest) => void) => {
    let again = false;
    const scan = async () => {
      do {
        again = false;
        const changed = await tree.scan();
        if (closed) break;
        if (watches.update(tree.directories)) again = true;
        if (changed) onChange(tree.manifest());
      } while (again);
      scanning = undefined;
    };
    const startScan = () => {
      if (scanning) again = true;
      else scanning = scan();
    };

    const debounce = new Debounce(clock, startScan);
    const watches = new DirectoryWatches(() => debounce.poke());
    let rescan: Timer;
    const scheduleRescan = () => {
      rescan = clock.schedule(rescanInterval, () => {
        startScan();
        scheduleRescan();
      });
    };
    scheduleRescan();
    startScan();
    stopWatching = () => {
      rescan.cancel();
      debounce.cancel();
      watches.close();
    };
  };

  return {
    async read() {
      await tree.scan();
      return tree.manifest();
    },
    watch,
    async close() {
      closed = true;
      stopWatching();
      await scanning;
    },
  };
}

/** What the directories held when they were last scanned. */
class ManifestTree {
  readonly #roots: readonly string[];
  #firstLeftOut: string | undefined;
  #files: ReadonlyMap<string, FileState> = new Map();
  /** All that were found, with what tells them from others of the same path. */
  directories: ReadonlyMap<string, bigint> = new Map();

  constructor(roots: readonly string[]) {
    this.#roots = roots;
  }

  /** Reads what differs from the last scan; tells whether anything did. */
  async scan(): Promise<boolean> {
    const before = this.#files;
    const { files: listed, directories, firstLeftOut } = await listManifests(this.#roots);
    const files = new Map<string, FileState>();
    let changed = firstLeftOut !== this.#firstLeftOut;
    for (const file of listed) {
      const known = before.get(file.path);
      const state = known?.signature === file.signature ? known : await readFile(file, known);
      if (state !== known) changed = true;
      files.set(file.path, state);
    }
    if (files.size !== before.size) changed = true;
    this.#files = files;
    this.directories = directories;
    this.#firstLeftOut = firstLeftOut;
    return changed;
  }

  manifest(): Manifest {
    const states = [...this.#files.values()];
    return {
      objects: states.flatMap((state) => state.objects),
      findings: [...this.#tooMany(), ...states.flatMap((state) => state.findings)],
    };
  }

  #tooMany(): Finding[] {
    if (this.#firstLeftOut === undefined) return [];
    const message = `there are more than ${maxFiles} manifests; from this one on they are not read`;
    return [finding('MW1005', { message, hint: 'put more objects into each file', object: this.#firstLeftOut })];
  }
}

/** A version with errors leaves the objects of the last good one in place; without one, what is good of it counts. */
async function readFile({ path, signature }: ListedFile, known: FileState | undefined): Promise<FileState> {
  const problem = (message: string, hint: string): FileState => ({
    signature,
    objects: known?.objects ?? [],
    documents: known?.documents ?? new Map(),
    good: known?.good ?? false,
    findings: [finding('MW1005', { message, hint, object: path })],
  });
  let text: string | undefined;
  try {
    text = await readBounded(path, maxFileBytes);
  } catch (error) {
    return problem((error as Error).message, 'let the controller read the file');
  }
  if (text === undefined) return problem(`it has more than ${maxFileBytes} bytes`, 'split the file');
  const { objects, findings, documents } = parseManifest(text, path, known?.documents);
  const good = !findings.some(({ severity }) => severity === 'error');
  if (good || !known?.good) return { signature, objects, documents, good, findings };
  return { ...known, signature, findings };
}
