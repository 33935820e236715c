import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A line of code that stops an attack, and the tests which must notice when it is not there. */
export interface Defence {
  readonly attack: string;
  readonly file: string;
  /** Stands in the file. */
  readonly defence: string;
  /** What stands there when it was taken out. */
  readonly instead: string;
  /** Files of tests, one of which must fail then. */
  readonly tests: readonly string[];
  /** Of their tests only those whose names match. */
  readonly only?: string;
}

export const root = fileURLToPath(new URL('../..', import.meta.url));

export const defences: readonly Defence[] = JSON.parse(readFileSync(new URL('defences.json', import.meta.url), 'utf8'));
