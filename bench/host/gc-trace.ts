/** A pause that the garbage collector made, as `node --trace-gc` tells of it. */
export interface Pause {
  /** `Scavenge`, `Mark-Compact` … */
  readonly kind: string;
  readonly milliseconds: number;
}

/** Finds the pauses in what a process wrote; the rest is passed over. */
export function parsePauses(output: string): Pause[] {
  const lines = output.matchAll(/^\[\d+:\S+\]\s+\d+ ms: (\S+) .*?MB, (?:pooled: \S+ MB, )?([\d.]+) \/ [\d.]+ ms /gm);
  return Array.from(lines, ([, kind, milliseconds]) => ({ kind, milliseconds: Number(milliseconds) }));
}
