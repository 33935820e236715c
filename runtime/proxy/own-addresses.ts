import { networkInterfaces } from 'node:os';

/** The addresses of this machine, or of the pod where this runs in one. */
export function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address));
}
