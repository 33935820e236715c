import type { Clock, Random, SlowStart } from '../../model/index.ts';
import type { EndpointState } from './endpoint-state.ts';
import type { Algorithm } from './picker.ts';

/** With less, an endpoint would not warm up. */
const smallestShare = 0.1;

/** Takes back a part of the choices that fall on endpoints which have just come, a smaller one as they age. */
export function slowStart(inner: Algorithm, { window }: SlowStart, random: Random, clock: Clock): Algorithm {
  return (states) => {
    const everyone = inner(states);
    const over = (state: EndpointState) => state.since + window;
    const allWarm = states.reduce((latest, state) => Math.max(latest, over(state)), Number.NEGATIVE_INFINITY);
    const now = clock.now();
    const warm = inner(states.filter((state) => over(state) <= now));
    return {
      pick(key, exclude) {
        const chosen = everyone.pick(key, exclude);
        if (chosen === undefined || allWarm === Number.NEGATIVE_INFINITY) return chosen;
        const left = over(chosen) - clock.now();
        if (left <= 0 || random() < Math.max(smallestShare, 1 - left / window)) return chosen;
        return warm.pick(key, exclude) ?? chosen;
      },
      shares: (key) => everyone.shares(key),
    };
  };
}
