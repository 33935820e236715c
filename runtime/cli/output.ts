import { Option } from 'commander';
import { stringify } from 'yaml';

export type OutputFormat = 'table' | 'json' | 'yaml';

/** `-o table|json|yaml`. */
export function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to print').choices(['table', 'json', 'yaml']).default('table');
}

/** Prints data on standard output; `table` says how it looks to people. */
export function print<Data>(data: Data, format: OutputFormat, table: (data: Data) => string): void {
  process.stdout.write(`${render(data, format, table).trimEnd()}\n`);
}

function render<Data>(data: Data, format: OutputFormat, table: (data: Data) => string): string {
  switch (format) {
    case 'json':
      return JSON.stringify(data, undefined, 2);
    case 'yaml':
      return stringify(data);
    case 'table':
      return table(data);
  }
}

/** Columns under their titles, numbers to the right. */
export function formatTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = titles.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column].length)));
  const isNumber = titles.map(
    (_, column) => rows.length > 0 && rows.every((row) => /^[\d.,%-]+( ms)?$/.test(row[column])),
  );
  return [titles, ...rows]
    .map((row) =>
      row
        .map((cell, column) => (isNumber[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
