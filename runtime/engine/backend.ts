import type { HttpRule, Random, WeightedBackend } from '../model/index.ts';

/**
 * Chooses a backend by weight. `undefined` where nothing may be sent: the rule has no backend with a weight, or does
 * not forward.
 */
export function chooseBackend(rule: HttpRule, random: Random): WeightedBackend | undefined {
  return rule.action.kind === 'forward' ? chooseByWeight(rule.action.backends, random) : undefined;
}

/** Each is chosen as often as its share of all weights says; `undefined` where none has a weight. */
export function chooseByWeight<T extends { readonly weight: number }>(
  choices: readonly T[],
  random: Random,
): T | undefined {
  let left = random() * totalWeight(choices);
  for (const choice of choices) {
    if (left < choice.weight) return choice;
    left -= choice.weight;
  }
  return undefined;
}

/** The sum that weights are relative to. */
export function totalWeight(backends: readonly { readonly weight: number }[]): number {
  let total = 0;
  for (const { weight } of backends) total += weight;
  return total;
}
