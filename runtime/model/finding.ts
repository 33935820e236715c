export type Severity = 'error' | 'warning' | 'info';

/** Something a user should know about their mesh: stable id, place, and what to do. */
export interface Finding {
  /** Stable, for example `MW1203`; see the catalogue. */
  readonly id: string;
  readonly severity: Severity;
  /** What was wrong, the value got, what is allowed. */
  readonly message: string;
  /** The likely fix. */
  readonly hint: string;
  /** Where in the Kubernetes objects, for example `HTTPRoute shop/reviews spec.rules[0]`. */
  readonly object?: string;
  /** Where in the construct tree, for example `shop/reviews/canary`. */
  readonly construct?: string;
}

/** One line for a terminal: `error MW1203 shop/reviews: message. hint`. */
export function formatFinding(finding: Finding): string {
  const place = [finding.construct, finding.object && `(${finding.object})`].filter(Boolean).join(' ');
  return `${finding.severity} ${finding.id}${place ? ` ${place}` : ''}: ${finding.message}\n    fix: ${finding.hint}`;
}

/** Thrown where work cannot go on; carries all findings at once. */
export class FindingsError extends Error {
  readonly findings: readonly Finding[];

  constructor(findings: readonly Finding[]) {
    super(findings.map(formatFinding).join('\n'));
    this.name = 'FindingsError';
    this.findings = findings;
  }
}
