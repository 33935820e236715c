/** What routing looks at. */
export interface HttpRequest {
  readonly method: string;
  /** Host with optional port. */
  readonly authority: string;
  /** In the form of {@link normalizePath}. */
  readonly path: string;
  /** Without its `?`. */
  readonly query: string;
  /** `[name, value, name, value, …]`, names lower-case. */
  readonly headers: readonly string[];
}

/** The value of a header, several of one name joined by `,` (RFC 9110 section 5.3). */
export function headerValue(headers: readonly string[], name: string): string | undefined {
  let value: string | undefined;
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] === name) value = value === undefined ? headers[index + 1] : `${value},${headers[index + 1]}`;
  }
  return value;
}

/** The value of the first cookie of a name (RFC 6265 section 5.4). */
export function cookieValue(headers: readonly string[], name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] !== 'cookie') continue;
    const pairs = headers[index + 1];
    for (let start = 0; start < pairs.length; ) {
      while (pairs[start] === ' ') start++;
      const semicolon = pairs.indexOf(';', start);
      const end = semicolon < 0 ? pairs.length : semicolon;
      if (pairs[start + name.length] === '=' && pairs.startsWith(name, start)) {
        return pairs.slice(start + name.length + 1, end).trimEnd();
      }
      start = end + 1;
    }
  }
  return undefined;
}

/** The first value of a query parameter, decoded as a form is. */
export function queryValue(query: string, name: string): string | undefined {
  for (let start = 0; start < query.length; ) {
    const ampersand = query.indexOf('&', start);
    const end = ampersand < 0 ? query.length : ampersand;
    const equals = query.indexOf('=', start);
    const nameEnd = equals < 0 || equals > end ? end : equals;
    if (decode(query.slice(start, nameEnd)) === name) return decode(query.slice(Math.min(nameEnd + 1, end), end));
    start = end + 1;
  }
  return undefined;
}

/** Bytes stay bytes: what is no UTF-8 is a value as well. */
function decode(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text;
  return text
    .replaceAll('+', ' ')
    .replace(/%[0-9A-Fa-f]{2}/g, (escaped) => String.fromCharCode(Number.parseInt(escaped.slice(1), 16)));
}

/** The host of an authority: no port, lower-case, no final dot. IPv6 addresses keep their brackets. */
export function hostOf(authority: string): string {
  const colon = authority.indexOf(':', authority[0] === '[' ? authority.indexOf(']') : 0);
  const host = colon < 0 ? authority : authority.slice(0, colon);
  return (host.endsWith('.') ? host.slice(0, -1) : host).toLowerCase();
}

/** The port of an authority, where it has one. */
export function portOf(authority: string): number | undefined {
  const port = /:(\d{1,5})$/.exec(authority);
  return port ? Number(port[1]) : undefined;
}
