export interface Named {
  readonly name?: unknown;
}

/** Puts what is `ours` into a list: in place of what has its name, the others where `where` says, in their order. */
export function placeNamed<T extends Named>(list: readonly T[], ours: readonly T[], where: 'first' | 'last'): T[] {
  const present = new Set(list.map(({ name }) => name));
  const missing = ours.filter(({ name }) => !present.has(name));
  const kept = list.map((item) => ours.find(({ name }) => name === item.name) ?? item);
  return where === 'first' ? [...missing, ...kept] : [...kept, ...missing];
}
