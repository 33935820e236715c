import { valueAt } from './collections.ts';

type Labels = Readonly<Record<string, string>>;

interface Selecting<T> {
  readonly namespace: string;
  /** Empty selects nothing. */
  readonly selector: Labels;
  readonly value: T;
}

/**
 * Answers "which of these select an object with such labels" without comparing all with all: each selector is filed
 * under the rarest of its labels.
 */
export function indexSelectors<T>(selecting: readonly Selecting<T>[]): (namespace: string, labels: Labels) => T[] {
  const counts = new Map<string, number>();
  const keysOf = selecting.map(({ namespace, selector }) =>
    Object.entries(selector).map(([label, value]) => keyOf(namespace, label, value)),
  );
  for (const keys of keysOf) for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);

  const filed = new Map<string, number[]>();
  for (const [position, keys] of keysOf.entries()) {
    if (!keys.length) continue;
    const rarest = keys.reduce((best, key) => (counts.get(key)! < counts.get(best)! ? key : best));
    valueAt(filed, rarest, () => []).push(position);
  }

  return (namespace, labels) => {
    const found: number[] = [];
    for (const [label, value] of Object.entries(labels)) {
      for (const position of filed.get(keyOf(namespace, label, value)) ?? []) {
        if (selects(selecting[position].selector, labels)) found.push(position);
      }
    }
    return found.sort((a, b) => a - b).map((position) => selecting[position].value);
  };
}

export function selects(selector: Labels, labels: Labels): boolean {
  for (const label in selector) if (labels[label] !== selector[label]) return false;
  return true;
}

function keyOf(namespace: string, label: string, value: string): string {
  return `${namespace} ${label}=${value}`;
}
