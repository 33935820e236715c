/** The one form of a path: routing and access compare it, and it is what is forwarded. */
export interface NormalizedPath {
  readonly path: string;
  /** Without its `?`; empty where there is none. */
  readonly query: string;
  /**
   * Servers disagree on what it means: it holds an escaped slash, backslash or NUL, escapes that are no UTF-8, or a `;`,
   * or it is longer than patterns are tried on. Where a path decides about access, such a request is denied.
   */
  readonly ambiguous: boolean;
}

/** Patterns do not match longer texts: this bounds the time of the quadratic ones. */
export const maxPatternText = 4096;

const allowedInPath = /^(?:[!"$&->@-[\]-~]|%[0-9A-Fa-f]{2})*$/;
const allowedInQuery = /^[!"$-~\u0080-\uffff]*$/;
const escaped = /%[0-9A-Fa-f]{2}/g;
const unreserved = /[A-Za-z0-9\-._~]/;
const unclear = /%2F|%5C|%00|;/;
const slash = 0x2f;
const dot = 0x2e;
/** By character code: 1 where it is the same in every form of a path. */
const plain = Uint8Array.from({ length: 128 }, (_, code) =>
  Number(/[!"$&-:<->@-[\]-~]/.test(String.fromCharCode(code))),
);

/**
 * Brings the target of a request into normal form: unreserved characters unescaped, escapes in upper case, dot
 * segments resolved, repeated slashes merged. `undefined` means malformed, to be answered with 400.
 */
export function normalizePath(raw: string): NormalizedPath | undefined {
  const mark = raw.indexOf('?');
  const rawPath = mark < 0 ? raw : raw.slice(0, mark);
  const query = mark < 0 ? '' : raw.slice(mark + 1);
  if (query !== '' && !allowedInQuery.test(query)) return undefined;
  if (isClean(rawPath)) return { path: rawPath, query, ambiguous: rawPath.length > maxPatternText };
  if (raw === '*') return { path: '*', query, ambiguous: false };
  if (rawPath[0] !== '/' || !allowedInPath.test(rawPath)) return undefined;
  const path = resolveSegments(rawPath.replace(escaped, unescapeUnreserved));
  return { path, query, ambiguous: unclear.test(path) || !isUtf8(path) || path.length > maxPatternText };
}

/** Path and query as they are sent. */
export function formatTarget({ path, query }: Pick<NormalizedPath, 'path' | 'query'>): string {
  return query === '' ? path : `${path}?${query}`;
}

/** Whether a path is certainly in normal form already, which almost every path is. */
function isClean(path: string): boolean {
  let previous = 0;
  for (let index = 0; index < path.length; index++) {
    const code = path.charCodeAt(index);
    if (plain[code] !== 1) return false;
    if (previous === slash && (code === slash || code === dot)) return false;
    previous = code;
  }
  return path.charCodeAt(0) === slash;
}

/** Whether the escapes of a path are UTF-8: latin1 and overlong forms (`%C0%AF`) are letters and slashes to some servers. */
function isUtf8(path: string): boolean {
  if (!/%[89A-F]/.test(path)) return true;
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

function unescapeUnreserved(text: string): string {
  const character = String.fromCharCode(Number.parseInt(text.slice(1), 16));
  return unreserved.test(character) ? character : text.toUpperCase();
}

/** RFC 3986 section 5.2.4, with empty segments left out. */
function resolveSegments(path: string): string {
  const kept: string[] = [];
  const segments = path.split('/');
  for (const segment of segments) {
    if (segment === '..') kept.pop();
    else if (segment !== '.' && segment !== '') kept.push(segment);
  }
  const last = segments[segments.length - 1];
  const endsInSlash = kept.length > 0 && (last === '' || last === '.' || last === '..');
  return `/${kept.join('/')}${endsInSlash ? '/' : ''}`;
}
