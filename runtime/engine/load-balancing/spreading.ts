import type { Clock, Random } from '../../model/index.ts';
import type { EndpointState } from './endpoint-state.ts';
import type { Algorithm, Shares } from './picker.ts';

/** One of at least two. */
type Choose = (states: readonly EndpointState[]) => EndpointState;

/** Each in turn, beginning anywhere, so that proxies do not march in step. */
export function roundRobin(random: Random): Algorithm {
  return (states) => {
    let turn = Math.floor(random() * states.length);
    return spread(states, (open) => open[turn++ % open.length]);
  };
}

export function randomChoice(random: Random): Algorithm {
  return (states) => spread(states, (open) => open[Math.floor(random() * open.length)]);
}

/** The one of two random choices with fewer requests under way. */
export function leastRequest(random: Random): Algorithm {
  return (states) =>
    spread(states, (open) => {
      const first = Math.floor(random() * open.length);
      const second = (first + 1 + Math.floor(random() * (open.length - 1))) % open.length;
      return open[first].active <= open[second].active ? open[first] : open[second];
    });
}

/** The one of two random choices with the lower load: close to the best of all, without everyone running to the same. */
export function peakEwma(random: Random, clock: Clock): Algorithm {
  return (states) =>
    spread(states, (open) => {
      const first = Math.floor(random() * open.length);
      const second = (first + 1 + Math.floor(random() * (open.length - 1))) % open.length;
      const now = clock.now();
      return open[first].load(now) <= open[second].load(now) ? open[first] : open[second];
    });
}

function spread(states: readonly EndpointState[], choose: Choose) {
  return {
    pick(_key: string | undefined, exclude: ReadonlySet<EndpointState> | undefined): EndpointState | undefined {
      const open = exclude?.size ? states.filter((state) => !exclude.has(state)) : states;
      return open.length < 2 ? open[0] : choose(open);
    },
    shares: (): Shares => new Map(states.map((state) => [state, 1 / states.length])),
  };
}
