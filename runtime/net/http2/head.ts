import { parseDigits } from '../field-value.ts';
import type { HeaderList, RequestHead, ResponseHead } from '../http.ts';
import { isUpgradeToken } from '../upgrade-token.ts';

/** Names which mean something to the protocol itself. */
const Known = { Forbidden: 1, Te: 2, Host: 3, ContentLength: 4, Cookie: 5 } as const;

const knownNames = new Map<string, number>([
  ['connection', Known.Forbidden],
  ['keep-alive', Known.Forbidden],
  ['proxy-connection', Known.Forbidden],
  ['transfer-encoding', Known.Forbidden],
  ['upgrade', Known.Forbidden],
  ['te', Known.Te],
  ['host', Known.Host],
  ['content-length', Known.ContentLength],
  ['cookie', Known.Cookie],
]);

const colon = 0x3a;
const slash = 0x2f;
const methodForm = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Host and port without user information (RFC 9113 section 8.3.1). */
const authorityForm = /^[A-Za-z0-9\-._~%!$&'()*+,;=:[\]]+$/;
const statusForm = /^[1-9]\d\d$/;

/**
 * Makes heads of decoded header lists, checking what RFC 9113 section 8 demands. A method that returns undefined
 * found the message malformed. The given list becomes the list of the head.
 */
export class HeadReader {
  /** `content-length` of the last head; -1 when it has none. */
  contentLength = -1;
  #host: string | undefined;
  /** What was valid in the last head, and is mostly the same in the next. */
  #method = 'GET';
  #authority = '';
  #authorityInLowerCase = '';
  #statusText = '200';
  #status = 200;

  request(fields: HeaderList): RequestHead | undefined {
    let method: string | undefined;
    let scheme: string | undefined;
    let path: string | undefined;
    let authority: string | undefined;
    let protocol: string | undefined;
    let at = 0;
    for (; at < fields.length && fields[at].charCodeAt(0) === colon; at += 2) {
      const name = fields[at];
      const value = fields[at + 1];
      if (name === ':method' && method === undefined) method = value;
      else if (name === ':scheme' && scheme === undefined) scheme = value;
      else if (name === ':path' && path === undefined) path = value;
      else if (name === ':authority' && authority === undefined) authority = value;
      else if (name === ':protocol' && protocol === undefined) protocol = value;
      else return undefined;
    }
    if (method === undefined || !this.#isMethod(method) || !this.#regular(fields, at)) return undefined;
    if (authority !== undefined && this.#host !== undefined && !sameHost(authority, this.#host)) return undefined;
    authority ??= this.#host;
    if (authority === undefined || !this.#isAuthority(authority)) return undefined;
    authority = this.#authorityInLowerCase;
    if (method === 'CONNECT' && protocol === undefined) {
      if (scheme !== undefined || path !== undefined) return undefined;
      return { method, scheme: 'http', authority, path: '', headers: fields };
    }
    if ((scheme !== 'http' && scheme !== 'https') || path === undefined) return undefined;
    if (!isPath(path) && !(path === '*' && method === 'OPTIONS')) return undefined;
    if (protocol !== undefined) {
      // RFC 8441 section 4: what HTTP/1.1 asks for by GET.
      if (method !== 'CONNECT' || !isUpgradeToken(protocol) || this.contentLength > 0) return undefined;
      method = 'GET';
    }
    return { method, scheme, authority, path, headers: fields, upgrade: protocol };
  }

  response(fields: HeaderList): ResponseHead | undefined {
    if (fields[0] !== ':status' || !this.#isStatus(fields[1])) return undefined;
    return this.#regular(fields, 2) ? { status: this.#status, headers: fields } : undefined;
  }

  /** What frames or routes a message comes too late in trailers (RFC 9110 section 6.5.1). */
  trailers(fields: HeaderList): boolean {
    return this.#regular(fields, 0) && this.contentLength < 0 && this.#host === undefined;
  }

  #isStatus(text: string): boolean {
    if (text === this.#statusText) return true;
    if (!statusForm.test(text) || text === '101') return false;
    this.#statusText = text;
    this.#status = Number(text);
    return true;
  }

  #isMethod(method: string): boolean {
    if (method === this.#method) return true;
    const valid = methodForm.test(method);
    if (valid) this.#method = method;
    return valid;
  }

  #isAuthority(authority: string): boolean {
    if (authority === this.#authority && authority !== '') return true;
    if (!authorityForm.test(authority)) return false;
    this.#authority = authority;
    this.#authorityInLowerCase = authority.toLowerCase();
    return true;
  }

  /** Checks the fields from `from` on and moves those that stay to the front. */
  #regular(fields: HeaderList, from: number): boolean {
    this.contentLength = -1;
    this.#host = undefined;
    let cookie = -1;
    let kept = 0;
    for (let at = from; at < fields.length; at += 2) {
      const name = fields[at];
      const value = fields[at + 1];
      switch (knownNames.get(name)) {
        case undefined:
          if (name.charCodeAt(0) === colon) return false;
          break;
        case Known.Forbidden:
          return false;
        case Known.Te:
          if (value.toLowerCase() !== 'trailers') return false;
          break;
        case Known.Host:
          if (this.#host !== undefined) return false;
          this.#host = value;
          continue;
        case Known.ContentLength:
          if (this.contentLength >= 0) return false;
          this.contentLength = parseDigits(value);
          if (this.contentLength < 0) return false;
          break;
        case Known.Cookie:
          if (cookie >= 0) {
            fields[cookie] += `; ${value}`;
            continue;
          }
          cookie = kept + 1;
          break;
      }
      fields[kept++] = name;
      fields[kept++] = value;
    }
    fields.length = kept;
    return true;
  }
}

/** What can stand in the request line of HTTP/1.1 without ending it. */
function isPath(text: string): boolean {
  if (text.charCodeAt(0) !== slash) return false;
  for (let i = 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x21 || (code > 0x7e && (code < 0x80 || code > 0xff))) return false;
  }
  return true;
}

function sameHost(a: string, b: string): boolean {
  return a === b || a.toLowerCase() === b.toLowerCase();
}
