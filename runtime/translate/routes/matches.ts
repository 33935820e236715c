import { checkPattern, type HttpMatch, type PathMatch, type ValueMatch } from '../../model/index.ts';
import type { GrpcRouteMatch, HttpRouteMatch, RouteHeaderMatch } from '../../resources/index.ts';
import { compareText } from '../inventory.ts';

const everything: PathMatch = { kind: 'prefix', value: '/' };

export function httpMatch({ path, method, headers, queryParams }: HttpRouteMatch): HttpMatch {
  const value = path?.value ?? '/';
  const kind = path?.type === 'Exact' ? 'exact' : path?.type === 'RegularExpression' ? 'regex' : 'prefix';
  return {
    path: path ? { kind, value } : everything,
    ...(method ? { method } : {}),
    headers: headerMatches(headers),
    query: firstOfEachName(queryParams ?? []).map((query) => ({ name: query.name, value: valueMatch(query) })),
  };
}

/** A gRPC method is a path, and every call is a POST. */
export function grpcMatch({ method, headers }: GrpcRouteMatch): HttpMatch {
  return { path: grpcPath(method ?? {}), method: 'POST', headers: headerMatches(headers), query: [] };
}

function grpcPath({ type, service, method }: NonNullable<GrpcRouteMatch['method']>): PathMatch {
  if (!service && !method) return everything;
  const regex = type === 'RegularExpression';
  if (!regex && service)
    return method ? { kind: 'exact', value: `/${service}/${method}` } : { kind: 'prefix', value: `/${service}` };
  const part = (text: string | undefined) => (text ? (regex ? `(?:${text})` : escapePattern(text)) : '[^/]+');
  return { kind: 'regex', value: `/${part(service)}/${part(method)}` };
}

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

function headerMatches(headers: readonly RouteHeaderMatch[] = []): HttpMatch['headers'] {
  const lowered = headers.map((header) => ({ ...header, name: header.name.toLowerCase() }));
  return firstOfEachName(lowered).map((header) => ({ name: header.name, value: valueMatch(header) }));
}

/** Gateway API: of entries with the same name only the first counts. */
export function firstOfEachName<T extends { readonly name: string }>(conditions: readonly T[]): T[] {
  return conditions.filter(({ name }, index) => conditions.findIndex((other) => other.name === name) === index);
}

function valueMatch({ type, value }: { type?: string; value: string }): ValueMatch {
  return { kind: type === 'RegularExpression' ? 'regex' : 'exact', value };
}

/** Why a match cannot be compiled. */
export function matchProblem(match: HttpMatch): string | undefined {
  const values = [match.path, ...match.headers.map(({ value }) => value), ...match.query.map(({ value }) => value)];
  for (const { kind, value } of values) {
    const problem = kind === 'regex' ? checkPattern(value) : undefined;
    if (problem) return `pattern ${value}: ${problem}`;
  }
  return match.path.value.startsWith('/') || match.path.kind === 'regex'
    ? undefined
    : `path ${match.path.value} does not begin with /`;
}

/** Equal for matches that hold for the same requests because they say the same. */
export function matchKey({ path, method, headers, query }: HttpMatch): string {
  const byName = (a: { name: string }, b: { name: string }) => compareText(a.name, b.name);
  return JSON.stringify([path.kind, path.value, method, [...headers].sort(byName), [...query].sort(byName)]);
}

/** The match as a user would say it, for findings. */
export function describeMatch({ path, method, headers, query }: HttpMatch): string {
  const parts = [`${method ? `${method} ` : ''}path ${path.kind} ${path.value}`];
  for (const { name, value } of headers) parts.push(`header ${name} ${value.kind} ${value.value}`);
  for (const { name, value } of query) parts.push(`query ${name} ${value.kind} ${value.value}`);
  return parts.join(', ');
}
