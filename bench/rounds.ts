export type Unit = 'us' | 'ms' | 'bytes' | 'MB' | 'MB/s' | 'rps' | '%' | 'count';

/** One value that one measurement found. */
export interface Reading {
  readonly figure: string;
  readonly unit: Unit;
  readonly value: number;
}

/** All values of one figure that one subject had under one load, a round each. */
export interface Series {
  readonly figure: string;
  readonly unit: Unit;
  readonly subject: string;
  /** The load: `4 connections`, `64 KiB bodies`. */
  readonly at: string;
  readonly values: readonly number[];
}

interface Named {
  readonly name: string;
}

export interface RoundOptions {
  readonly rounds: number;
  readonly progress: (message: string) => void;
}

/**
 * Measures each subject under each load, in turn, round for round, so that what disturbs the machine disturbs all of them
 * alike.
 */
export async function inRounds<Subject extends Named, Load extends Named>(
  subjects: readonly Subject[],
  loads: readonly Load[],
  { rounds, progress }: RoundOptions,
  measure: (subject: Subject, load: Load) => Promise<readonly Reading[]>,
): Promise<Series[]> {
  const all = new Map<string, Series & { readonly values: number[] }>();
  for (let round = 1; round <= rounds; round++) {
    for (const load of loads) {
      for (const subject of subjects) {
        const readings = await measure(subject, load);
        for (const { figure, unit, value } of readings) {
          const key = [figure, load.name, subject.name].join();
          const series = all.get(key) ?? { figure, unit, subject: subject.name, at: load.name, values: [] };
          series.values.push(value);
          all.set(key, series);
        }
        const found = readings.map(({ figure, unit, value }) => `${figure} ${formatValue(value)} ${unit}`).join(', ');
        progress(`round ${round} of ${rounds}, ${load.name}, ${subject.name}: ${found}`);
      }
    }
  }
  return [...all.values()];
}

/** As many digits as tell something. */
export function formatValue(value: number): string {
  return value.toFixed(Math.abs(value) < 10 ? 2 : 1);
}
