import { styleText } from 'node:util';
import { type Finding, formatFinding, type Severity } from '../model/index.ts';

const colors: Readonly<Record<Severity, 'red' | 'yellow' | 'cyan'>> = { error: 'red', warning: 'yellow', info: 'cyan' };

/** Tells findings on standard error. */
export function printFindings(findings: readonly Finding[]): void {
  for (const finding of findings) {
    const text = formatFinding(finding);
    const severity = styleText(colors[finding.severity], finding.severity, { stream: process.stderr });
    process.stderr.write(`${severity}${text.slice(finding.severity.length)}\n`);
  }
}

export function hasErrors(findings: readonly Finding[]): boolean {
  return findings.some(({ severity }) => severity === 'error');
}
