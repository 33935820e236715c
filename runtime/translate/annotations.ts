import type { KubernetesObject } from '../resources/index.ts';

/** The names in an annotation that is a list of them, separated by commas. */
export function namesIn({ metadata }: KubernetesObject, annotation: string): ReadonlySet<string> {
  const text = metadata.annotations?.[annotation] ?? '';
  return new Set(
    text
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean),
  );
}
