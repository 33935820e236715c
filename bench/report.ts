import { formatValue, type Series, type Unit } from './rounds.ts';
import { median } from './statistics.ts';

/** One figure of ours, beside the same figure of a peer where there is one: medians over the rounds. */
export interface Row {
  readonly figure: string;
  readonly at: string;
  readonly unit: Unit;
  readonly rounds: number;
  readonly ours: number;
  /** The smallest and the largest value of a round. */
  readonly range: readonly [number, number];
  readonly peer?: string;
  readonly theirs?: number;
  /** `ours / theirs`; absent where theirs is nothing. */
  readonly ratio?: number;
  /** The smallest and the largest ratio of a single round. */
  readonly spread?: readonly [number, number];
}

/** Sets the series of `ours` beside those of every other subject, figure by figure, load by load. */
export function compare(series: readonly Series[], ours: string): Row[] {
  const names = [...new Set(series.map(({ figure }) => figure))];
  const own = series.filter(({ subject }) => subject === ours);
  return names.flatMap((name) =>
    own
      .filter(({ figure }) => figure === name)
      .flatMap((mine) => {
        const others = series.filter(
          ({ figure, subject, at }) => figure === name && subject !== ours && at === mine.at,
        );
        return others.length === 0
          ? [alone(mine)]
          : others.map((other) => ({ ...alone(mine), ...beside(mine, other) }));
      }),
  );
}

function alone({ figure, at, unit, values }: Series): Row {
  return { figure, at, unit, rounds: values.length, ours: round(median(values), 2), range: rangeOf(values, 2) };
}

function beside({ values: ours }: Series, { subject, values: theirs }: Series): Partial<Row> {
  const both = { peer: subject, theirs: round(median(theirs), 2) };
  // Of nothing there is no share: an overload that no request failed in, for example.
  if (theirs.includes(0)) return both;
  const ratios = ours.map((value, index) => value / theirs[index]);
  return { ...both, ratio: round(median(ours) / median(theirs), 3), spread: rangeOf(ratios, 3) };
}

function rangeOf(values: readonly number[], digits: number): readonly [number, number] {
  return [round(Math.min(...values), digits), round(Math.max(...values), digits)];
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** Lays rows out for a terminal. */
export function formatTable(rows: readonly Row[]): string {
  const lines = [
    ['FIGURE', 'AT', 'PEER', 'OURS', 'RANGE', 'THEIRS', 'RATIO', 'SPREAD'],
    ...rows.map(({ figure, at, peer, ours, range, theirs, ratio, spread, unit }) => [
      figure,
      at,
      peer ?? '-',
      `${formatValue(ours)} ${unit}`,
      range.map(formatValue).join('-'),
      theirs === undefined ? '-' : `${formatValue(theirs)} ${unit}`,
      ratio === undefined ? '-' : ratio.toFixed(2),
      spread === undefined ? '-' : spread.map((one) => one.toFixed(2)).join('-'),
    ]),
  ];
  const textColumns = new Set([0, 1, 2]);
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const pad = (cell: string, column: number): string =>
    textColumns.has(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column]);
  return lines.map((line) => line.map(pad).join('  ').trimEnd()).join('\n');
}
