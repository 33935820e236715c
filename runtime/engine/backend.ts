import type { HttpRule, Random, WeightedBackend } from '../model/index.ts';

/**
 * Chooses a backend by weight. `undefined` where nothing may be sent: the rule has no backend with a weight, or does
 * not forward.
 */
export function chooseBackend(rule: HttpRule, random: Random): WeightedBackend | undefined {
  if (rule.action.kind !== 'forward') return undefined;
  const { backends } = rule.action;
  let left = random() * totalWeight(backends);
  for (const backend of backends) {
    if (left < backend.weight) return backend;
    left -= backend.weight;
  }
  return undefined;
}

/** The sum that weights are relative to. */
export function totalWeight(backends: readonly { readonly weight: number }[]): number {
  let total = 0;
  for (const { weight } of backends) total += weight;
  return total;
}
