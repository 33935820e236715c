import type { HeaderChange } from '../model/index.ts';
import { fromWire, toWire } from './wire-text.ts';

/** Applies a change: removals first, then `set` replaces, then `add` appends. Returns the same list if nothing is to do. */
export function applyHeaderChange(headers: string[], change: HeaderChange | undefined): string[] {
  if (!change) return headers;
  const { set, add, remove } = change;
  const changed: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index];
    if (!remove.includes(name) && !set.some((header) => header.name === name)) changed.push(name, headers[index + 1]);
  }
  for (const { name, value } of set) changed.push(name, toWire(value));
  for (const { name, value } of add) changed.push(name, toWire(value));
  return changed;
}

/** The values of a list by name, for people to read, several of one name joined (RFC 9110 section 5.3). */
export function headersByName(list: readonly string[]): Record<string, string> {
  const values = new Map<string, string>();
  for (let index = 0; index < list.length; index += 2) {
    const [name, value] = [list[index], fromWire(list[index + 1])];
    const before = values.get(name);
    values.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return Object.fromEntries(values);
}

/** For example `set x-by: mesh; remove cookie`. */
export function describeHeaderChange({ set, add, remove }: HeaderChange): string {
  return [
    ...set.map(({ name, value }) => `set ${name}: ${value}`),
    ...add.map(({ name, value }) => `add ${name}: ${value}`),
    ...remove.map((name) => `remove ${name}`),
  ].join('; ');
}
