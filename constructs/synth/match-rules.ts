import type { IConstruct } from 'constructs';
import { checkPattern } from '../../runtime/model/index.ts';
import type { GrpcCondition, Header, HttpCondition, Path, Query } from '../match.ts';
import { isUnknown } from '../placeholder.ts';
import type { Check } from './check.ts';
import { checkHeaderName, quote } from './rules.ts';

/** Reports what is wrong with one alternative of a rule's match. */
export function checkConditions(
  check: Check,
  construct: IConstruct,
  place: string,
  conditions: readonly (HttpCondition | GrpcCondition)[],
): void {
  const seen = new Set<string>();
  for (const condition of conditions) {
    const subject = subjectOf(condition);
    if (seen.has(subject)) {
      check.report(
        'MW1244',
        construct,
        `${place}: two conditions are on ${subject}, of which one request has only one`,
        'keep one of them, or write alternatives with Match.anyOf',
      );
    }
    seen.add(subject);
    checkCondition(check, construct, place, condition);
  }
}

/** Reports what is wrong with the condition on a path. */
export function checkPath(check: Check, construct: IConstruct, place: string, path: Path): void {
  if (path.type === 'RegularExpression') {
    checkRegex(check, construct, `${place}: path`, path.value);
    return;
  }
  const problem = pathProblem(path.value);
  if (problem) {
    check.report(
      'MW1241',
      construct,
      `${place}: path ${quote(path.value)} ${problem}`,
      'write it in its normal form, for example /cart/items',
    );
  }
}

/** Says why no normalised path could be equal to this one. */
export function pathProblem(path: string): string | undefined {
  if (isUnknown(path)) return undefined;
  if (!path.startsWith('/')) return 'does not begin with /';
  if (path.includes('//')) return 'holds //, which the mesh merges before it compares';
  if (/(^|\/)\.\.?(\/|$)/.test(path)) return 'holds . or .. segments, which the mesh resolves before it compares';
  if (/[?#\s\\]/.test(path))
    return 'holds ?, #, a backslash or a space, which no path has; a query is matched by Query.is';
  if (/%2f|%5c/i.test(path)) return 'holds an escaped slash, which no rule can match';
  if (path.length > 1024) return 'is longer than 1024 characters';
  return undefined;
}

function checkCondition(
  check: Check,
  construct: IConstruct,
  place: string,
  condition: HttpCondition | GrpcCondition,
): void {
  switch (condition.kind) {
    case 'path':
      checkPath(check, construct, place, condition);
      break;
    case 'header':
      checkHeaderName(check, construct, place, condition.name);
      checkValue(check, construct, place, condition);
      break;
    case 'query':
      checkValue(check, construct, place, condition);
      break;
    case 'grpc-method':
      if (
        !/^[A-Za-z_][\w.]*$/.test(condition.service) ||
        (condition.method && !/^[A-Za-z_]\w*$/.test(condition.method))
      ) {
        check.report(
          'MW1241',
          construct,
          `${place}: gRPC method ${quote([condition.service, condition.method].filter(Boolean).join('/'))} is invalid; allowed are names of protocol buffers`,
          "write the full name of the service and the name of the method: GrpcMethod.is('shop.v1.Cart', 'Add')",
        );
      }
      break;
  }
}

function checkValue(
  check: Check,
  construct: IConstruct,
  place: string,
  { kind, name, type, value }: Header | Query,
): void {
  if (type === 'RegularExpression') checkRegex(check, construct, `${place}: ${kind} ${name}`, value);
  if (name === '' || value === '') {
    check.report(
      'MW1242',
      construct,
      `${place}: the condition on ${kind} ${quote(name)} has an empty ${name ? 'value' : 'name'}`,
      'state the name and the value that are compared',
    );
  }
}

function checkRegex(check: Check, construct: IConstruct, place: string, pattern: string): void {
  const problem = isUnknown(pattern) ? undefined : checkPattern(pattern);
  if (!problem) return;
  check.report(
    'MW1243',
    construct,
    `${place}: the regular expression ${quote(pattern)} is refused: ${problem}`,
    'write it without nested repetition, look-around and back-references, or use an exact or prefix match',
  );
}

function subjectOf(condition: HttpCondition | GrpcCondition): string {
  switch (condition.kind) {
    case 'header':
    case 'query':
      return `${condition.kind} ${condition.name}`;
    case 'path':
    case 'method':
      return `the ${condition.kind}`;
    case 'grpc-method':
      return 'the method';
  }
}
