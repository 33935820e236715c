/**
 * A header's name as an application may read it: many (CGI, WSGI, PHP) cannot tell `_` from `-`, so that a header which
 * nobody may forge must not be forged in that spelling either.
 */
export function withHyphens(name: string): string {
  return name.includes('_') ? name.replaceAll('_', '-') : name;
}
