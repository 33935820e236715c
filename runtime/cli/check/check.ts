import type { ClusterView } from './cluster-view.ts';

/** Why a check does not hold. */
export interface Problem {
  readonly severity: 'warning' | 'error';
  /** What is wrong, and the value got. */
  readonly message: string;
  /** The likely fix. */
  readonly hint: string;
}

/** What checks know beside the cluster. */
export interface Context {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Of this command line. */
  readonly version: string;
}

/** One question to a cluster. */
export interface Check {
  /** Its heading in docs/check.md. */
  readonly id: string;
  /** What holds where it succeeds. */
  readonly description: string;
  /** Where it fails, nothing can be said of what depends on its category. */
  readonly fatal?: true;
  /** What fails now may hold in a moment, without anybody doing anything. */
  readonly settles?: true;
  run(cluster: ClusterView, context: Context): Promise<Problem | undefined>;
}

/** Checks of one part of what a mesh needs. */
export interface Category {
  readonly name: string;
  /** Names of categories without which this one says nothing. */
  readonly needs: readonly string[];
  readonly checks: readonly Check[];
}

export function error(message: string, hint: string): Problem {
  return { severity: 'error', message, hint };
}

export function warning(message: string, hint: string): Problem {
  return { severity: 'warning', message, hint };
}

/** The first few of many names. */
export function some(names: readonly string[], most = 5): string {
  const rest = names.length - most;
  return names.slice(0, most).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
