import { styleText } from 'node:util';
import type { CheckResult } from './run.ts';

export type CheckFormat = 'table' | 'short' | 'json';

const marks = {
  ok: ['√', 'green'],
  warning: ['‼', 'yellow'],
  error: ['×', 'red'],
  skipped: ['-', 'gray'],
} as const;

/** Prints results, each as it comes. */
export class CheckReport {
  readonly #format: CheckFormat;
  readonly #write: (text: string) => void;
  readonly #results: CheckResult[] = [];
  #category = '';

  constructor(format: CheckFormat, write: (text: string) => void) {
    this.#format = format;
    this.#write = write;
  }

  add(result: CheckResult): void {
    this.#results.push(result);
    if (this.#format === 'json' || (this.#format === 'short' && !result.message)) return;
    if (result.category !== this.#category) {
      this.#write(`${this.#category && '\n'}${result.category}\n${'-'.repeat(result.category.length)}\n`);
      this.#category = result.category;
    }
    this.#write(describe(result));
  }

  /** Tells the whole. */
  end(): void {
    if (this.#format === 'json') this.#write(`${JSON.stringify(this.#document(), undefined, 2)}\n`);
    else this.#write(`${this.#category && '\n'}${this.#summary()}\n`);
  }

  count(result: CheckResult['result']): number {
    return this.#results.filter((each) => each.result === result).length;
  }

  #document() {
    const categories = [...Map.groupBy(this.#results, ({ category }) => category)];
    return {
      success: this.count('error') === 0,
      categories: categories.map(([name, results]) => ({
        name,
        checks: results.map(({ category, ...check }) => check),
      })),
    };
  }

  #summary(): string {
    const [errors, warnings, skipped] = [this.count('error'), this.count('warning'), this.count('skipped')];
    const counts = [
      `${this.count('ok')} of ${this.#results.length} checks hold`,
      ...(errors ? [`${errors} failed`] : []),
      ...(warnings ? [`${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`] : []),
      ...(skipped ? [`${skipped} could not be asked`] : []),
    ];
    return `${mark(errors ? 'error' : warnings ? 'warning' : 'ok')} ${counts.join(', ')}`;
  }
}

function describe({ id, description, result, message, hint }: CheckResult): string {
  const lines = [`${mark(result)} ${description}`];
  if (message) lines.push(`    ${message}`, `    fix: ${hint}`, `    see docs/check.md#${id}`);
  return `${lines.join('\n')}\n`;
}

function mark(result: CheckResult['result']): string {
  const [sign, color] = marks[result];
  return styleText(color, sign, { stream: process.stdout });
}
