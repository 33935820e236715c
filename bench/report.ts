import type { Sample, Series } from './measure.ts';
import { median } from './statistics.ts';

/** One figure of ours beside the same figure of a peer, medians over the rounds. */
export interface Row {
  readonly figure: string;
  readonly peer: string;
  readonly connections: number;
  readonly ours: number;
  readonly theirs: number;
  /** `ours / theirs`; below 1 ours is better. */
  readonly ratio: number;
  /** The smallest and the largest ratio of a single round. */
  readonly spread: readonly [number, number];
  readonly unit: 'us';
}

const figures: readonly (readonly [figure: string, value: (sample: Sample) => number])[] = [
  ['cpu-per-request', (sample) => sample.cpuPerRequest],
  ['latency-p50', (sample) => sample.p50],
  ['latency-p99', (sample) => sample.p99],
];

/** Compares the series of `ours` with every other pair's, figure by figure. */
export function compare(series: readonly Series[], ours: string): Row[] {
  return figures.flatMap(([figure, value]) =>
    series
      .filter(({ pair }) => pair === ours)
      .flatMap(({ connections, samples }) =>
        series
          .filter((other) => other.pair !== ours && other.connections === connections)
          .map((other) => toRow(figure, other, samples.map(value), other.samples.map(value))),
      ),
  );
}

function toRow(figure: string, other: Series, ours: readonly number[], theirs: readonly number[]): Row {
  const ratios = ours.map((value, round) => value / theirs[round]);
  return {
    figure,
    peer: other.pair,
    connections: other.connections,
    ours: round(median(ours), 1),
    theirs: round(median(theirs), 1),
    ratio: round(median(ours) / median(theirs), 3),
    spread: [round(Math.min(...ratios), 3), round(Math.max(...ratios), 3)],
    unit: 'us',
  };
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** Lays rows out for a terminal. */
export function formatTable(rows: readonly Row[]): string {
  const lines = [
    ['FIGURE', 'CONNECTIONS', 'PEER', 'OURS', 'THEIRS', 'RATIO', 'SPREAD'],
    ...rows.map((row) => [
      row.figure,
      String(row.connections),
      row.peer,
      `${row.ours.toFixed(1)} ${row.unit}`,
      `${row.theirs.toFixed(1)} ${row.unit}`,
      row.ratio.toFixed(2),
      row.spread.map((ratio) => ratio.toFixed(2)).join('-'),
    ]),
  ];
  const textColumns = new Set([0, 2]);
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const pad = (cell: string, column: number): string =>
    textColumns.has(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column]);
  return lines.map((line) => line.map(pad).join('  ').trimEnd()).join('\n');
}
