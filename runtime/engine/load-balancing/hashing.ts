import type { EndpointState } from './endpoint-state.ts';
import { hash32 } from './hash.ts';
import type { Algorithm } from './picker.ts';

/** Says where on a circle of slots a key stands, and whose each slot is. */
interface Circle {
  readonly size: number;
  slotOf(hash: number): number;
  owner(slot: number): EndpointState;
}

/**
 * Each endpoint owns points of a ring; a key belongs to the next point. When an endpoint leaves, its keys go to its
 * neighbours and no other key moves.
 */
export const ringHash = (withoutKey: Algorithm): Algorithm => hashing(createRing, withoutKey);

/**
 * A table that the endpoints fill in turns, each by its own permutation (Eisenbud et al., NSDI 2016). Shares are even
 * within a per cent; when an endpoint leaves, a few keys of the others move as well.
 */
export const maglev = (withoutKey: Algorithm): Algorithm => hashing(createTable, withoutKey);

function hashing(create: (states: readonly EndpointState[]) => Circle, withoutKey: Algorithm): Algorithm {
  return (states) => {
    const unkeyed = withoutKey(states);
    let circle: Circle | undefined;

    function find(key: string, exclude: ReadonlySet<EndpointState> | undefined): EndpointState | undefined {
      if (states.length === 0) return undefined;
      circle ??= create(inOneOrder(states));
      const { size } = circle;
      for (let left = size, slot = circle.slotOf(hash32(key)); left > 0; left--, slot = (slot + 1) % size) {
        const state = circle.owner(slot);
        if (!exclude?.has(state)) return state;
      }
      return undefined;
    }

    return {
      pick: (key, exclude) => (key === undefined ? unkeyed.pick(key, exclude) : find(key, exclude)),
      shares(key) {
        if (key === undefined) return unkeyed.shares(key);
        const state = find(key, undefined);
        return new Map(state && [[state, 1]]);
      },
    };
  };
}

/** All proxies must come to the same circle, in whatever order they heard of the endpoints. */
function inOneOrder(states: readonly EndpointState[]): readonly EndpointState[] {
  return [...states].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** As many as ketama has: shares differ by some 8 per cent. */
const pointsOfEach = 160;
/** A point and its owner's index are one number, so that sorting the points sorts the owners. */
const maxOwners = 2 ** 20;

function createRing(states: readonly EndpointState[]): Circle {
  const points = new Float64Array(states.length * pointsOfEach);
  for (const [owner, { id }] of states.entries()) {
    for (let index = 0; index < pointsOfEach; index++) {
      points[owner * pointsOfEach + index] = hash32(`${id}/${index}`) * maxOwners + owner;
    }
  }
  points.sort();
  return {
    size: points.length,
    slotOf(hash) {
      const wanted = hash * maxOwners;
      let low = 0;
      let high = points.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (points[middle] < wanted) low = middle + 1;
        else high = middle;
      }
      return low === points.length ? 0 : low;
    },
    owner: (slot) => states[points[slot] % maxOwners],
  };
}

/** Primes: a hundred slots an endpoint keep shares even within a per cent. */
const tableSizes = [65_537, 655_373] as const;
const free = 0xffff;

function createTable(states: readonly EndpointState[]): Circle {
  const size = states.length * 100 <= tableSizes[0] ? tableSizes[0] : tableSizes[1];
  const owners = new Uint16Array(size).fill(free);
  const next = states.map(({ id }) => hash32(id, 3) % size);
  const skips = states.map(({ id }) => 1 + (hash32(id, 4) % (size - 1)));
  for (let filled = 0; filled < size; ) {
    for (let owner = 0; owner < states.length && filled < size; owner++) {
      let slot = next[owner];
      while (owners[slot] !== free) slot = (slot + skips[owner]) % size;
      owners[slot] = owner;
      next[owner] = (slot + skips[owner]) % size;
      filled++;
    }
  }
  return { size, slotOf: (hash) => hash % size, owner: (slot) => states[owners[slot]] };
}
