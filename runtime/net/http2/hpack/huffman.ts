import { readLatin1 } from '../../latin1.ts';

/**
 * Code lengths of the symbols 0–255 and EOS (RFC 7541 appendix B). The code is canonical: codes of one length count
 * up in the order of their symbols, so that the lengths say everything.
 */
// biome-ignore format: a table
const codeLengths = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];
const endOfString = 256;
const longestPadding = 7;

/**
 * The code as an automaton over half bytes. A state is an inner node of the code tree; the shortest code has five
 * bits, so a half byte completes at most one symbol.
 */
const failure = -1;
const completes = 1 << 8;
const stateShift = 9;
/** `[state * 16 + half byte]`: symbol in the low byte, {@link completes}, next state above; or {@link failure}. */
const transitions = new Int32Array(256 * 16);
/** States in which a string may end: the bits since the last symbol are padding. */
const accepting = new Uint8Array(256);
buildAutomaton();

function buildAutomaton(): void {
  const { zeros, ones } = buildTree();
  for (let state = 0; state < 256; state++) {
    for (let half = 0; half < 16; half++) transitions[state * 16 + half] = walk(zeros, ones, state, half);
  }
  for (let state = 0, bits = 0; bits <= longestPadding; bits++, state = ones[state]) accepting[state] = 1;
}

/** Children of inner nodes; a leaf is the complement of its symbol. */
function buildTree(): { zeros: Int16Array; ones: Int16Array } {
  const zeros = new Int16Array(256);
  const ones = new Int16Array(256);
  const symbols = codeLengths.map((_, symbol) => symbol);
  symbols.sort((a, b) => codeLengths[a] - codeLengths[b] || a - b);
  let nodes = 1;
  let code = 0;
  let length = codeLengths[symbols[0]];
  for (const symbol of symbols) {
    code <<= codeLengths[symbol] - length;
    length = codeLengths[symbol];
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const children = (code >> bit) & 1 ? ones : zeros;
      if (children[node] === 0) children[node] = nodes++;
      node = children[node];
    }
    (code & 1 ? ones : zeros)[node] = ~symbol;
    code++;
  }
  return { zeros, ones };
}

function walk(zeros: Int16Array, ones: Int16Array, from: number, half: number): number {
  let node = from;
  let completed = 0;
  for (let bit = 3; bit >= 0; bit--) {
    node = ((half >> bit) & 1 ? ones : zeros)[node];
    if (node >= 0) continue;
    if (~node === endOfString) return failure;
    completed = completes | ~node;
    node = 0;
  }
  return (node << stateShift) | completed;
}

let scratch = Buffer.allocUnsafe(4096);

/** Decodes a Huffman-coded string; undefined when it is none. */
export function decodeHuffman(source: Buffer, start: number, end: number): string | undefined {
  const longest = Math.ceil(((end - start) * 8) / 5);
  if (scratch.length < longest) scratch = Buffer.allocUnsafe(longest);
  let state = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = source[at];
    const high = transitions[state * 16 + (byte >> 4)];
    if (high === failure) return undefined;
    if (high & completes) scratch[length++] = high;
    const low = transitions[(high >> stateShift) * 16 + (byte & 15)];
    if (low === failure) return undefined;
    if (low & completes) scratch[length++] = low;
    state = low >> stateShift;
  }
  return accepting[state] ? readLatin1(scratch, 0, length) : undefined;
}
