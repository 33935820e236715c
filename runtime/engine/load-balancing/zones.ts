import type { Random, ZonePreference } from '../../model/index.ts';
import type { Algorithm, Shares } from './picker.ts';

/** Keeps requests in `zone`; where it has too few endpoints, the missing share goes elsewhere. */
export function preferZone(
  inner: Algorithm,
  { minEndpoints }: ZonePreference,
  zone: string,
  random: Random,
): Algorithm {
  return (states) => {
    const local = states.filter(({ endpoint }) => endpoint.zone === zone);
    const others = states.filter(({ endpoint }) => endpoint.zone !== zone);
    if (local.length === 0 || others.length === 0) return inner(states);
    const share = Math.min(1, local.length / minEndpoints);
    const near = inner(local);
    const far = inner(others);
    return {
      pick(key, exclude) {
        const stays = share === 1 || random() < share;
        return (stays ? near : far).pick(key, exclude) ?? (stays ? far : near).pick(key, exclude);
      },
      shares: (key): Shares => new Map([...scaled(near.shares(key), share), ...scaled(far.shares(key), 1 - share)]),
    };
  };
}

function scaled(shares: Shares, factor: number) {
  return Array.from(shares, ([state, share]) => [state, share * factor] as const).filter(([, share]) => share > 0);
}
