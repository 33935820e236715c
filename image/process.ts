/**
 * Of V8's two optimising compilers the one whose work is worth most stays. A sidecar collects its garbage once, when it
 * is ready. docs/image.md has the figures.
 */
export const nodeFlags: readonly string[] = ['--no-maglev', '--expose-gc'];

/** What compilers took is given back: one arena of the C library, trimmed above 64 KiB. */
export const environment: Readonly<Record<string, string>> = {
  NODE_ENV: 'production',
  MALLOC_ARENA_MAX: '1',
  MALLOC_TRIM_THRESHOLD_: '65536',
};
