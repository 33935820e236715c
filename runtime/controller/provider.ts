import type { Kind, Manifest } from '../resources/index.ts';

/** Where the objects of the mesh come from: files, or a cluster. */
export interface Provider {
  /** Reads everything once. */
  read(): Promise<Manifest>;
  /**
   * From now on calls back with the whole state whenever it changed. What did not change is the same object (`===`)
   * as before; `changed` names the kinds of what did, where that is known.
   */
  watch(onChange: (manifest: Manifest, changed?: ReadonlySet<Kind>) => void): void;
  close(): Promise<void>;
}
