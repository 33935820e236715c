import { requestFields } from './frames.ts';

/** Fields of a good request with one replaced, added, or taken out. */
export function fieldsWith(name: string, value: string | undefined): string[] {
  const fields = [...requestFields];
  const at = fields.indexOf(name);
  if (at < 0) return value === undefined ? fields : [...fields, name, value];
  fields.splice(at, 2, ...(value === undefined ? [] : [name, value]));
  return fields;
}

/** Heads of requests that must not reach a handler. */
export const malformedRequests: readonly (readonly [title: string, fields: string[]])[] = [
  ['CR and LF in a value (class 4)', fieldsWith('x-test', 'a\r\nx-injected: 1')],
  ['a bare LF in a value', fieldsWith('x-test', 'a\nb')],
  ['a bare CR in a value', fieldsWith('x-test', 'a\rb')],
  ['a NUL in a value', fieldsWith('x-test', 'a\0b')],
  ['CR and LF in the path', fieldsWith(':path', '/a HTTP/1.1\r\nhost: evil\r\n\r\n')],
  ['CR and LF in the method', fieldsWith(':method', 'GET /\r\n')],
  ['CR and LF in the authority', fieldsWith(':authority', 'a\r\nb')],
  ['CR and LF in a name', fieldsWith('x-a\r\nx-b', '1')],
  ['a colon in a name', fieldsWith('x-a:b', '1')],
  ['an upper-case name', fieldsWith('X-Test', '1')],
  ['an empty name', fieldsWith('', '1')],
  ['a space in the path', fieldsWith(':path', '/a b')],
  ['a space in the method', fieldsWith(':method', 'GET /admin')],
  ['a path that is no path', fieldsWith(':path', 'http://evil/')],
  ['* as path of GET', fieldsWith(':path', '*')],
  ['an empty path', fieldsWith(':path', '')],
  ['no path', fieldsWith(':path', undefined)],
  ['no method', fieldsWith(':method', undefined)],
  ['no scheme', fieldsWith(':scheme', undefined)],
  ['an unknown scheme', fieldsWith(':scheme', 'ftp')],
  ['no authority', fieldsWith(':authority', undefined)],
  ['an empty authority', fieldsWith(':authority', '')],
  ['user information in the authority', fieldsWith(':authority', 'reviews.shop@evil')],
  ['a path in the authority', fieldsWith(':authority', 'reviews.shop/evil')],
  ['a host other than the authority', [...requestFields, 'host', 'evil.shop']],
  ['two hosts', [...fieldsWith(':authority', undefined), 'host', 'a', 'host', 'a']],
  ['a pseudo header twice', [...requestFields, ':path', '/b']],
  ['a pseudo header after a field', [...requestFields.slice(2), 'x-a', '1', ':method', 'GET']],
  ['a pseudo header of responses', [':status', '200', ...requestFields]],
  ['an unknown pseudo header', [':protocol', 'websocket', ...requestFields]],
  ['CONNECT with a path', fieldsWith(':method', 'CONNECT')],
  ['connection', [...requestFields, 'connection', 'x-auth']],
  ['transfer-encoding', [...requestFields, 'transfer-encoding', 'chunked']],
  ['upgrade', [...requestFields, 'upgrade', 'h2c']],
  ['te other than trailers', [...requestFields, 'te', 'gzip']],
  ['a content-length that is no number', [...requestFields, 'content-length', '+0']],
  ['a list of content-lengths', [...requestFields, 'content-length', '0, 0']],
  ['content-length twice', [...requestFields, 'content-length', '0', 'content-length', '0']],
  ['a content-length without a body', [...requestFields, 'content-length', '5']],
];
