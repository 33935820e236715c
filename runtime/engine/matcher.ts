import { compilePattern, type HeaderMatch, type HttpMatch, type PathMatch, type ValueMatch } from '../model/index.ts';
import { maxPatternText, normalizePath } from './path.ts';
import { type HttpRequest, headerValue, queryValue } from './request.ts';
import { fromWire, toWire, toWirePath } from './wire-text.ts';

/** A condition that can say what it asks for. */
export interface Matcher<Subject> {
  test(subject: Subject): boolean;
  /** For example `path is under /cart`. */
  describe(): string;
}

export function matcher<Subject>(description: string, test: (subject: Subject) => boolean): Matcher<Subject> {
  return { test, describe: () => description };
}

/** A path to compare with, brought into the form that paths of requests have. */
export function exactOf(value: string): string {
  const path = toWirePath(value);
  return normalizePath(path)?.path ?? path;
}

/** A prefix in that form, without final slash; `/` becomes empty. */
export function prefixOf(value: string): string {
  const path = exactOf(value);
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

/** Compiles the comparison of a normalised path. */
export function matchPath(match: PathMatch): Matcher<string> {
  switch (match.kind) {
    case 'exact': {
      const value = exactOf(match.value);
      return matcher(`path is ${value}`, (path) => path === value);
    }
    case 'prefix': {
      const prefix = prefixOf(match.value);
      if (prefix === '') return matcher('any path', () => true);
      return matcher(
        `path is ${prefix} or below`,
        (path) => path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/'),
      );
    }
    case 'regex':
      return matcher(`path matches ${match.value}`, matchPattern(match.value));
  }
}

/** The conditions of a match other than its path. Of several for one name only the first counts (Gateway API). */
export function matchDetails(match: HttpMatch): readonly Matcher<HttpRequest>[] {
  const { method } = match;
  return [
    ...(method === undefined
      ? []
      : [matcher<HttpRequest>(`method is ${method}`, (request) => request.method === method)]),
    ...firstOfEachName(match.headers).map(({ name, value }) =>
      name === 'host'
        ? matchValue<HttpRequest>('host', value, (request) => request.authority)
        : matchValue<HttpRequest>(`header ${name}`, value, (request) => headerValue(request.headers, name)),
    ),
    ...firstOfEachName(match.query).map(({ name, value }) =>
      matchValue<HttpRequest>(`query parameter ${name}`, value, readQuery(name)),
    ),
  ];
}

/** The conditions on a header list. */
export function matchHeaders(headers: readonly HeaderMatch[]): readonly Matcher<readonly string[]>[] {
  return headers.map(({ name, value }) => matchValue(`header ${name}`, value, (list) => headerValue(list, name)));
}

export function firstOfEachName<Named extends { readonly name: string }>(items: readonly Named[]): readonly Named[] {
  return items.filter((item, index) => items.findIndex(({ name }) => name === item.name) === index);
}

/** Reads a query parameter, whose name may hold any character. */
export function readQuery(name: string): (request: HttpRequest) => string | undefined {
  const wireName = toWire(name);
  return ({ query }) => queryValue(query, wireName);
}

function matchValue<Subject>(
  what: string,
  match: ValueMatch,
  read: (subject: Subject) => string | undefined,
): Matcher<Subject> {
  if (match.kind === 'exact') {
    const expected = toWire(match.value);
    return matcher(`${what} is ${match.value}`, (subject) => read(subject) === expected);
  }
  const test = matchPattern(match.value);
  return matcher(`${what} matches ${match.value}`, (subject) => {
    const value = read(subject);
    return value !== undefined && test(fromWire(value));
  });
}

function matchPattern(pattern: string): (text: string) => boolean {
  const regex = compilePattern(pattern);
  return (text) => text.length <= maxPatternText && regex.test(text);
}
