import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc, { type Arbitrary } from 'fast-check';

/*
 * Inputs near what peers really send: a corpus of messages, good and bad, cut up, joined and spoiled. What once failed is
 * kept in the corpus (test/fuzz/corpus), where it is tried first for ever after.
 */

/** How many inputs a property is tried with: `FUZZ_RUNS`, else few enough for every day. */
export const runs = Number(process.env.FUZZ_RUNS ?? 300);

/** The messages of one kind: latin1 text by name. */
export function corpusOf(kind: string): Buffer[] {
  const path = join(import.meta.dirname, 'corpus', `${kind}.json`);
  const messages = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;
  return Object.values(messages).map((text) => Buffer.from(text, 'latin1'));
}

/** The same for bytes that are none to read, in hexadecimal. */
export function binaryCorpusOf(kind: string): Buffer[] {
  return corpusOf(kind).map((hex) => Buffer.from(hex.toString('latin1').replaceAll(' ', ''), 'hex'));
}

/** One change of a message. */
type Mutation = (bytes: Buffer) => Buffer;

function splice(at: number, removed: number, inserted: Buffer): Mutation {
  return (bytes) => {
    const from = at % (bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, from), inserted, bytes.subarray(from + removed)]);
  };
}

/** What messages are made of. */
export interface Material {
  readonly good: readonly Buffer[];
  readonly bad?: readonly Buffer[];
  /** Pieces that mean something to the reader. */
  readonly words: readonly Buffer[];
  /** Puts messages one behind the other. */
  readonly join?: (parts: Buffer[]) => Buffer;
}

/** Some messages in a row, mostly good ones, mostly with a change or two. */
export function messages({ good, bad = good, words, join = Buffer.concat }: Material): Arbitrary<Buffer> {
  const place = fc.nat({ max: 100_000 });
  const mutation: Arbitrary<Mutation> = fc.oneof(
    fc.tuple(place, fc.nat({ max: 4 }), fc.constantFrom(...words)).map((change) => splice(...change)),
    fc.tuple(place, fc.nat({ max: 20 })).map(([at, removed]) => splice(at, removed, Buffer.alloc(0))),
    fc
      .tuple(place, fc.nat({ max: 2 }), fc.uint8Array({ minLength: 1, maxLength: 3 }))
      .map(([at, removed, inserted]) => splice(at, removed, Buffer.from(inserted))),
    fc.tuple(place, place).map(
      ([from, length]): Mutation =>
        (bytes) => {
          const start = from % (bytes.length + 1);
          const piece = bytes.subarray(start, start + (length % 64));
          return Buffer.concat([bytes.subarray(0, start), piece, bytes.subarray(start)]);
        },
    ),
  );
  const part = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...good) },
    { weight: 1, arbitrary: fc.constantFrom(...bad) },
  );
  const mutations = fc.oneof(
    { weight: 1, arbitrary: fc.constant([]) },
    { weight: 4, arbitrary: fc.array(mutation, { minLength: 1, maxLength: 2 }) },
    { weight: 1, arbitrary: fc.array(mutation, { maxLength: 8 }) },
  );
  return fc
    .tuple(fc.array(part, { minLength: 1, maxLength: 4 }), mutations)
    .map(([parts, mutations]) => mutations.reduce<Buffer>((bytes, mutate) => mutate(bytes), join(parts)));
}

/** Cuts bytes in pieces, as a network does. */
export function pieces(bytes: Buffer, places: readonly number[]): Buffer[] {
  const cuts = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...cuts]
    .map((start, i) => bytes.subarray(start, cuts[i] ?? bytes.length))
    .filter(({ length }) => length > 0);
}

/** Where to cut. */
export const cuts = fc.array(fc.nat({ max: 100_000 }), { maxLength: 12 });
