import { anyCharacter, type PatternNode } from './pattern-syntax.ts';

/** Repetitions that can compete for the same text: `.*a.*b` has two and takes quadratic time. */
const maxCompeting = 2;
/** Choices in a row that can read the same text in two ways: each can double the time. */
const maxChoices = 4;
/** Steps of the check itself. */
const maxSteps = 5_000_000;

/**
 * Finds out whether backtracking over a pattern can take long. The pattern becomes its position automaton (Glushkov),
 * which is run twice over the same text. Where the two runs can part and meet again there is a choice that
 * backtracking tries in full; where they can do so from a position to itself, the time is exponential.
 */
export function findAmbiguity(pattern: PatternNode): string | undefined {
  const automaton = compile(withoutLastAny(pattern));
  if (automaton.repeatsNothing) return 'it repeats something that may be empty';
  const twins = runTwice(automaton);
  const choices: ReadonlySet<number>[] = [];
  for (const position of automaton.sets.keys()) {
    const choice = twins.choice(position);
    if (!choice) return 'it is too large to be checked';
    if (choice.isLoop) return 'a repetition can read the same text in more than one way, which takes exponential time';
    choices.push(choice.meetings);
  }
  if (longestChain(choices) > maxChoices) {
    return `more than ${maxChoices} choices in a row can read the same text in more than one way`;
  }
  const rivals = choices.map((_, position) => twins.rivals(position));
  if (!rivals.every((found) => found !== undefined)) return 'it is too large to be checked';
  const competing = 1 + longestChain(rivals);
  return competing > maxCompeting
    ? `${competing} repetitions can compete for the same text; at most ${maxCompeting} are allowed`
    : undefined;
}

interface Automaton {
  /** By position: the characters it reads. */
  readonly sets: readonly bigint[];
  /** By position: what may be read next. */
  readonly follow: readonly ReadonlySet<number>[];
  /** By position: the part of `follow` that is reached in more than one way. */
  readonly doubled: readonly ReadonlySet<number>[];
  readonly repeatsNothing: boolean;
}

interface Part {
  readonly first: readonly number[];
  readonly last: readonly number[];
  readonly nullable: boolean;
}

/** Stands for the start and the end of the text; no character has this bit. */
const edge: PatternNode = { kind: 'character', set: 1n << 256n };

function compile(pattern: PatternNode): Automaton {
  const sets: bigint[] = [];
  const follow: Set<number>[] = [];
  const doubled: Set<number>[] = [];
  let repeatsNothing = false;

  function connect(last: readonly number[], first: readonly number[]) {
    for (const from of last) {
      for (const to of first) (follow[from].has(to) ? doubled : follow)[from].add(to);
    }
  }

  function visit(node: PatternNode): Part {
    switch (node.kind) {
      case 'character': {
        const position = sets.push(node.set) - 1;
        follow.push(new Set());
        doubled.push(new Set());
        return { first: [position], last: [position], nullable: false };
      }
      case 'alternatives': {
        const parts = node.items.map(visit);
        return {
          first: parts.flatMap((part) => part.first),
          last: parts.flatMap((part) => part.last),
          nullable: parts.some((part) => part.nullable),
        };
      }
      case 'sequence':
        return node.items.map(visit).reduce(
          (left, right) => {
            connect(left.last, right.first);
            return {
              first: left.nullable ? [...left.first, ...right.first] : left.first,
              last: right.nullable ? [...left.last, ...right.last] : right.last,
              nullable: left.nullable && right.nullable,
            };
          },
          { first: [], last: [], nullable: true },
        );
      case 'repeat': {
        const item = visit(node.item);
        if (node.max > 1) {
          if (item.nullable) repeatsNothing = true;
          connect(item.last, item.first);
        }
        return { ...item, nullable: item.nullable || node.min === 0 };
      }
    }
  }

  visit({ kind: 'sequence', items: [edge, pattern, edge] });
  return { sets, follow, doubled, repeatsNothing };
}

/** The automaton run twice over one text. A state is a pair of positions, numbered `left * size + right`. */
function runTwice({ sets, follow, doubled }: Automaton) {
  const size = sets.length;
  const all = [...sets.keys()];
  const state = (left: number, right: number) => left * size + right;
  const later = all.map((position) => closure(follow, position));
  let steps = 0;

  /** Where both can be after one or more characters, split by whether they parted on the way. */
  function reachable(left: number, right: number) {
    const together = new Set<number>();
    const apart = new Set<number>();
    const open = [{ left, right, seen: together }];
    for (let from = open.pop(); from && steps < maxSteps; from = open.pop()) {
      for (const left of follow[from.left]) {
        for (const right of follow[from.right]) {
          steps++;
          if (!(sets[left] & sets[right])) continue;
          const parts = left !== right || (from.left === from.right && doubled[from.left].has(left));
          const seen = parts ? apart : from.seen;
          if (!seen.has(state(left, right))) open.push({ left, right, seen });
          seen.add(state(left, right));
        }
      }
    }
    return {
      apart,
      has: (left: number, right: number) => together.has(state(left, right)) || apart.has(state(left, right)),
    };
  }

  return {
    /** The ways of two runs that part at or after `position`; `undefined` when it takes too long. */
    choice(position: number) {
      const { apart } = reachable(position, position);
      const meetings = new Set<number>();
      for (const pair of apart) {
        const [left, right] = [Math.floor(pair / size), pair % size];
        const meet = left === right || [...follow[left]].some((next) => follow[right].has(next));
        if (meet && !later[left].has(position)) meetings.add(left);
      }
      return steps < maxSteps ? { meetings, isLoop: apart.has(state(position, position)) } : undefined;
    },
    /** Later repetitions that can read what the repetition at `position` reads. */
    rivals(position: number) {
      if (!later[position].has(position)) return new Set<number>();
      const reached = reachable(position, position);
      const rivals = all.filter(
        (other) =>
          other !== position &&
          later[other].has(other) &&
          reached.has(position, other) &&
          reachable(position, other).has(other, other),
      );
      return steps < maxSteps ? new Set(rivals) : undefined;
    },
  };
}

/** Every node that can be reached from `start` in one step or more. */
function closure(graph: readonly ReadonlySet<number>[], start: number): ReadonlySet<number> {
  const seen = new Set(graph[start]);
  for (const node of seen) for (const next of graph[node]) seen.add(next);
  return seen;
}

/** The number of steps of the longest way through a graph without cycles. */
function longestChain(graph: readonly ReadonlySet<number>[]): number {
  const lengths: number[] = [];
  function from(node: number): number {
    lengths[node] ??= Math.max(0, ...Array.from(graph[node], (next) => 1 + from(next)));
    return lengths[node];
  }
  return Math.max(...Array.from(graph.keys(), from));
}

/** A last `.*` never fails, so nothing is tried again because of it. */
function withoutLastAny(pattern: PatternNode): PatternNode {
  if (pattern.kind !== 'sequence') return pattern;
  const last = pattern.items.at(-1);
  const isAny = last?.kind === 'repeat' && last.item.kind === 'character' && last.item.set === anyCharacter;
  return isAny && last.max === Infinity ? { kind: 'sequence', items: pattern.items.slice(0, -1) } : pattern;
}
