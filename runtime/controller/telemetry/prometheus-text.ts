/** One line of a Prometheus text exposition. */
export interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

const labelPattern = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"/y;

/**
 * Reads Prometheus text format 0.0.4. Lines that are not samples are skipped.
 *
 * @param wanted - which metrics to read; the others cost next to nothing
 */
export function* parsePrometheusText(text: string, wanted: (name: string) => boolean = () => true): Generator<Sample> {
  for (let start = 0; start < text.length; ) {
    const found = text.indexOf('\n', start);
    const end = found < 0 ? text.length : found;
    const sample = text[start] === '#' ? undefined : parseLine(text.slice(start, end), wanted);
    if (sample) yield sample;
    start = end + 1;
  }
}

function parseLine(line: string, wanted: (name: string) => boolean): Sample | undefined {
  const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line)?.[0];
  if (name === undefined || !wanted(name)) return undefined;
  const labels = new Map<string, string>();
  let position = name.length;
  if (line[position] === '{') {
    position++;
    while (line[position] !== '}') {
      labelPattern.lastIndex = position;
      const label = labelPattern.exec(line);
      if (!label) return undefined;
      labels.set(label[1], unescapeLabel(label[2]));
      position = labelPattern.lastIndex;
      if (line[position] === ',') position++;
    }
    position++;
  }
  const [text] = line.slice(position).trim().split(/\s+/);
  const value = text === '+Inf' ? Number.POSITIVE_INFINITY : text === '-Inf' ? Number.NEGATIVE_INFINITY : Number(text);
  return text === '' || (Number.isNaN(value) && text !== 'NaN') ? undefined : { name, labels, value };
}

function unescapeLabel(text: string): string {
  return text.includes('\\') ? text.replace(/\\(.)/g, (_, character) => (character === 'n' ? '\n' : character)) : text;
}
