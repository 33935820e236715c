import type { IConstruct } from 'constructs';
import type { GrpcCondition, HttpCondition } from '../match.ts';
import type { Analysis, Check } from './check.ts';

/** One alternative of one rule, at one place. */
interface Entry {
  readonly route: IConstruct;
  /** The rule's name or position. */
  readonly rule: string;
  readonly match: ComparableMatch;
}

/** A match in a form that can be compared. */
interface ComparableMatch {
  readonly path: string;
  readonly method: string;
  /** Header and query conditions by `header x-canary`. */
  readonly values: ReadonlyMap<string, string>;
}

/**
 * Finds rules that compete for the same requests. The Gateway API decides such cases by the age of the objects, which
 * a program does not state.
 */
export class RouteTable implements Analysis {
  readonly #check: Check;
  readonly #places = new Map<string, Entry[]>();
  readonly #mustAnswerAll = new Map<string, IConstruct>();

  constructor(check: Check) {
    this.#check = check;
  }

  /**
   * @param place - where the rule is in force: a port of a service or a listener of a gateway, and a host
   */
  add(place: string, route: IConstruct, rule: string, conditions: readonly (HttpCondition | GrpcCondition)[]): void {
    const entry = { route, rule, match: comparable(conditions) };
    const entries = this.#places.get(place);
    if (entries) entries.push(entry);
    else this.#places.set(place, [entry]);
  }

  /** States that requests no rule matches would have been answered without the route. */
  mustAnswerAll(place: string, route: IConstruct): void {
    if (!this.#mustAnswerAll.has(place)) this.#mustAnswerAll.set(place, route);
  }

  finish(): void {
    const reported = new Set<string>();
    for (const [place, entries] of this.#places) {
      this.#findEqual(place, entries, reported);
      this.#findTies(entries, reported);
    }
    for (const [place, route] of this.#mustAnswerAll) {
      if (this.#places.get(place)?.some(({ match }) => keyOf(match) === matchesAll)) continue;
      this.#check.report(
        'MW1240',
        route,
        `no rule on ${place.replace(/ \*$/, '')} matches all requests; those that none matches are answered 404`,
        'add a rule without `match`, or acknowledge this',
      );
    }
  }

  #findEqual(place: string, entries: readonly Entry[], reported: Set<string>): void {
    const first = new Map<string, Entry>();
    for (const entry of entries) {
      const key = keyOf(entry.match);
      const other = first.get(key);
      if (!other) first.set(key, entry);
      else if (once(reported, 'equal', other, entry)) {
        this.#check.report(
          'MW1238',
          entry.route,
          `${entry.rule} matches the same requests on ${place.replace(/ \*$/, '')} as ${other.rule} of ${other.route.node.path}`,
          'make one of them more specific, or make them one rule',
        );
      }
    }
  }

  #findTies(entries: readonly Entry[], reported: Set<string>): void {
    const groups = Map.groupBy(entries, ({ match }) => precedenceOf(match));
    for (const group of groups.values()) {
      for (const [index, entry] of group.entries()) {
        const rival = group
          .slice(0, index)
          .find((other) => other.route !== entry.route && mayBothHold(other.match, entry.match));
        if (!rival || !once(reported, 'tie', rival, entry)) continue;
        this.#check.report(
          'MW1239',
          entry.route,
          `a request may match both ${entry.rule} and ${rival.rule} of ${rival.route.node.path}, and neither is more specific`,
          'put both into one route, where the order decides, or add a condition to one of them',
        );
      }
    }
  }
}

const matchesAll = keyOf(comparable([]));

function comparable(conditions: readonly (HttpCondition | GrpcCondition)[]): ComparableMatch {
  let path = 'PathPrefix /';
  let method = '';
  const values = new Map<string, string>();
  for (const condition of conditions) {
    switch (condition.kind) {
      case 'path':
        path = `${condition.type} ${condition.type === 'PathPrefix' ? condition.value.replace(/(?<=.)\/$/, '') : condition.value}`;
        break;
      case 'method':
        method = condition.method;
        break;
      case 'grpc-method':
        path = condition.method
          ? `Exact /${condition.service}/${condition.method}`
          : `PathPrefix /${condition.service}`;
        break;
      default:
        values.set(`${condition.kind} ${condition.name}`, `${condition.type} ${condition.value}`);
    }
  }
  return { path, method, values };
}

function keyOf({ path, method, values }: ComparableMatch): string {
  return JSON.stringify([path, method, [...values].sort()]);
}

/** Matches of one precedence that may hold for one request have this in common (Gateway API, HTTPRouteRule). */
function precedenceOf({ path, method, values }: ComparableMatch): string {
  const headers = [...values.keys()].filter((subject) => subject.startsWith('header ')).length;
  return JSON.stringify([path, method, headers, values.size - headers]);
}

function mayBothHold(a: ComparableMatch, b: ComparableMatch): boolean {
  if (keyOf(a) === keyOf(b)) return false;
  return [...a.values].every(([subject, value]) => {
    const other = b.values.get(subject);
    return !other || other === value || !value.startsWith('Exact ') || !other.startsWith('Exact ');
  });
}

/** Whether a pair of rules has not been reported yet, at whatever place. */
function once(reported: Set<string>, what: string, a: Entry, b: Entry): boolean {
  const key = [what, a.route.node.path, a.rule, b.route.node.path, b.rule].join(' ');
  if (reported.has(key)) return false;
  reported.add(key);
  return true;
}
