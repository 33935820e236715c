import type { AuthorityFiles } from '../../identity/authority.ts';

/** An authority as a store has it. */
export interface StoredAuthority {
  readonly files: AuthorityFiles;
  /** Whether it is Meshwright's own and may be changed: not so one that a user or cert-manager put there. */
  readonly managed: boolean;
  /** Whether somebody asked for a new root. */
  readonly rotationRequested: boolean;
  /** Another one after every change. */
  readonly version: string;
}

/** Where the authority of a mesh is kept. What is there but cannot be read is an error, never a reason for a new root. */
export interface AuthorityStore {
  /** What findings call it. */
  readonly source: string;
  /** @returns `undefined` where there is nothing; rejects with a `FindingsError` where it cannot be read */
  read(): Promise<StoredAuthority | undefined>;
  /** @returns whether it was written; `false`: somebody else was first */
  create(files: AuthorityFiles): Promise<boolean>;
  /** Takes the place of `previous`, and meets the request for a new root. @returns `false`: it changed meanwhile */
  replace(files: AuthorityFiles, previous: StoredAuthority): Promise<boolean>;
}
