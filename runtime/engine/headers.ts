import type { HeaderChange } from '../model/index.ts';

/** Applies a change: removals first, then `set` replaces, then `add` appends. Returns the same list if nothing is to do. */
export function applyHeaderChange(headers: string[], change: HeaderChange | undefined): string[] {
  if (!change) return headers;
  const { set, add, remove } = change;
  const changed: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index];
    if (!remove.includes(name) && !set.some((header) => header.name === name)) changed.push(name, headers[index + 1]);
  }
  for (const { name, value } of set) changed.push(name, value);
  for (const { name, value } of add) changed.push(name, value);
  return changed;
}
