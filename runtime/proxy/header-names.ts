import type { HeaderList } from '../net/index.ts';

/** Headers by which the mesh and its proxies speak of callers: nobody outside may set them. */
const internalHeaders = new Set([
  'forwarded',
  'x-forwarded-client-cert',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-real-ip',
]);

/** What is left of a list without those by which proxies speak of callers. */
export function withoutInternal(headers: HeaderList): HeaderList {
  const kept: HeaderList = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (!internalHeaders.has(withHyphens(headers[i]))) kept.push(headers[i], headers[i + 1]);
  }
  return kept;
}

/**
 * A header's name as an application may read it: many (CGI, WSGI, PHP) cannot tell `_` from `-`, so that a header which
 * nobody may forge must not be forged in that spelling either.
 */
export function withHyphens(name: string): string {
  return name.includes('_') ? name.replaceAll('_', '-') : name;
}
