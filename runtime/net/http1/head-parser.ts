import { isBlank, isFieldValue, isValueCharacter, parseDigits } from '../field-value.ts';
import type { HeaderList, HttpLimits } from '../http.ts';
import {
  authorityOf,
  FieldRole,
  fieldIn,
  isAuthority,
  isMethod,
  isProtectedField,
  isTarget,
  isToken,
  nextHash,
  tokenCharacters,
} from './fields.ts';

const lineFeed = 10;
const carriageReturn = 13;
const space = 32;
const colon = 58;
const maxConnectionOptions = 16;
const absoluteForm = /^(https?):\/\/([^/?]*)(.*)$/i;
const httpVersion = /^HTTP\/\d\.\d$/;

/**
 * Reads message heads, given as latin1 text without the empty line that ends them. One parser serves a connection; its
 * fields describe the last head. The parse methods return 0, or the status that answers the fault.
 */
export class HeadParser {
  method = '';
  scheme: 'http' | 'https' = 'http';
  authority = '';
  path = '';
  status = 0;
  headers: HeaderList = [];
  /** -1 when the head has none. */
  contentLength = -1;
  chunked = false;
  /** The peer wants, or by its version implies, that the connection ends with this message. */
  close = false;
  isHttp10 = false;
  expectsContinue = false;
  /** The `keep-alive` field as it came. */
  keepAlive = '';
  /** The `upgrade` field as it came, if it is one: announced by `connection`, and not of HTTP/1.0 (RFC 9110 section 7.8). */
  upgrade = '';

  readonly #limits: HttpLimits;
  #host: string | undefined;
  #transferEncoding: string | undefined;
  #connection = '';
  #upgrade = '';
  #acceptsTrailers = false;

  constructor(limits: HttpLimits) {
    this.#limits = limits;
  }

  parseRequest(text: string, scheme: 'http' | 'https'): number {
    const lineEnd = endOfLine(text);
    const methodEnd = text.indexOf(' ');
    const targetEnd = text.indexOf(' ', methodEnd + 1);
    if (methodEnd < 1 || targetEnd < 0 || targetEnd > lineEnd) return 400;
    const method = text.startsWith('GET ') ? 'GET' : text.slice(0, methodEnd);
    if (!isMethod(method)) return 400;
    this.method = method;
    const version = this.#parseVersion(text, targetEnd + 1, lineEnd);
    if (version !== 0) return version;
    return (
      this.#parseFields(text, lineEnd + 2) ||
      this.#checkFraming() ||
      this.#resolveTarget(text.slice(methodEnd + 1, targetEnd), scheme)
    );
  }

  parseResponse(text: string): number {
    const lineEnd = endOfLine(text);
    const version = this.#parseVersion(text, 0, 8);
    if (version !== 0) return version;
    const status = parseDigits(text.slice(9, 12));
    if (text.charCodeAt(8) !== space || status < 100) return 400;
    if (lineEnd > 12 && text.charCodeAt(12) !== space) return 400;
    if (lineEnd < 12 || !isFieldValue(text, 13, lineEnd)) return 400;
    this.status = status;
    return this.#parseFields(text, lineEnd + 2) || this.#checkFraming();
  }

  /** Trailers as `name: value` lines; undefined when malformed or when they try to frame or route the message. */
  parseTrailers(text: string): HeaderList | undefined {
    const failed = this.#parseFields(text, 0) !== 0;
    const misplaced = this.contentLength >= 0 || this.#transferEncoding !== undefined || this.#host !== undefined;
    return failed || misplaced ? undefined : this.headers;
  }

  #parseVersion(text: string, start: number, end: number): number {
    if (end === start + 8 && text.startsWith('HTTP/1.1', start)) {
      this.isHttp10 = false;
      return 0;
    }
    const version = text.slice(start, end);
    if (!httpVersion.test(version)) return 400;
    this.isHttp10 = version === 'HTTP/1.0';
    return version.charCodeAt(5) === 49 ? 0 : 505;
  }

  #parseFields(text: string, start: number): number {
    const headers: HeaderList = [];
    this.headers = headers;
    this.contentLength = -1;
    this.expectsContinue = false;
    this.keepAlive = '';
    this.upgrade = '';
    this.#host = undefined;
    this.#transferEncoding = undefined;
    this.#connection = '';
    this.#upgrade = '';
    this.#acceptsTrailers = false;
    const { length } = text;
    let count = 0;
    for (let at = start; at < length; ) {
      if (++count > this.#limits.maxHeaders) return 431;
      let hash = 0;
      let nameEnd = at;
      let code = text.charCodeAt(at);
      while (tokenCharacters[code] === 1) {
        hash = nextHash(hash, code);
        code = text.charCodeAt(++nameEnd);
      }
      if (code !== colon || nameEnd === at) return 400;
      let from = nameEnd + 1;
      while (from < length && isBlank(text.charCodeAt(from))) from++;
      let lineEnd = from;
      while (lineEnd < length && isValueCharacter(text.charCodeAt(lineEnd))) lineEnd++;
      if (lineEnd < length && !isLineEnd(text, lineEnd)) return 400;
      let to = lineEnd;
      while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
      const value = text.slice(from, to);
      const field = fieldIn(text, at, nameEnd, hash);
      if (field === undefined) headers.push(text.slice(at, nameEnd).toLowerCase(), value);
      else if (field.role === FieldRole.ordinary) headers.push(field.name, value);
      else if (!this.#take(field.role, value)) return 400;
      at = lineEnd + 2;
    }
    if (this.#acceptsTrailers) headers.push('te', 'trailers');
    return this.#applyConnection();
  }

  /** Takes in a field that concerns the codec. */
  #take(role: number, value: string): boolean {
    switch (role) {
      case FieldRole.host:
        if (this.#host !== undefined) return false;
        this.#host = value;
        return true;
      case FieldRole.contentLength: {
        const length = parseDigits(value);
        if (length < 0 || this.contentLength >= 0) return false;
        this.contentLength = length;
        this.headers.push('content-length', value.length > 1 && value.startsWith('0') ? String(length) : value);
        return true;
      }
      case FieldRole.transferEncoding:
        if (this.#transferEncoding !== undefined) return false;
        this.#transferEncoding = value.toLowerCase();
        return true;
      case FieldRole.connection:
        this.#connection = this.#connection === '' ? value : `${this.#connection},${value}`;
        return true;
      case FieldRole.keepAlive:
        this.keepAlive = value;
        return true;
      case FieldRole.te:
        if (/(?:^|,)[ \t]*trailers[ \t]*(?:$|,)/i.test(value)) this.#acceptsTrailers = true;
        return true;
      case FieldRole.upgrade:
        this.#upgrade = this.#upgrade === '' ? value : `${this.#upgrade},${value}`;
        return true;
      case FieldRole.expect:
        this.expectsContinue = value.toLowerCase() === '100-continue' && !this.isHttp10;
        this.headers.push('expect', value);
        return true;
      default:
        return true;
    }
  }

  #applyConnection(): number {
    this.close = this.isHttp10 && this.#connection !== 'keep-alive';
    if (this.#connection === '' || this.#connection === 'keep-alive') return 0;
    const options = this.#connection.split(',', maxConnectionOptions + 1);
    if (options.length > maxConnectionOptions) return 400;
    let close = false;
    let keepAlive = false;
    for (const each of options) {
      const option = each.trim().toLowerCase();
      if (option === '') continue;
      if (!isToken(option)) return 400;
      if (option === 'close') close = true;
      else if (option === 'keep-alive') keepAlive = true;
      else if (option === 'upgrade') this.upgrade = this.isHttp10 ? '' : this.#upgrade;
      else if (!isProtectedField(option)) this.#remove(option);
    }
    this.close = close || (this.isHttp10 && !keepAlive);
    return 0;
  }

  #remove(name: string): void {
    const { headers } = this;
    for (let i = headers.length - 2; i >= 0; i -= 2) if (headers[i] === name) headers.splice(i, 2);
  }

  /** Two lengths, or one that only some readers understand, are how requests are smuggled (RFC 9112 section 6.3). */
  #checkFraming(): number {
    const coding = this.#transferEncoding;
    this.chunked = coding !== undefined;
    if (coding === undefined) return 0;
    if (this.isHttp10 || this.contentLength >= 0) return 400;
    if (coding === 'chunked') return 0;
    const codings = coding.split(',').map((each) => each.trim());
    const chunkedAt = codings.indexOf('chunked');
    const wellFormed = codings.every(isToken) && (chunkedAt < 0 || chunkedAt === codings.length - 1);
    return wellFormed ? 501 : 400;
  }

  #resolveTarget(target: string, scheme: 'http' | 'https'): number {
    const host = this.#host === undefined && this.isHttp10 ? '' : authorityOf(this.#host ?? '');
    if (host === undefined || !isTarget(target)) return 400;
    this.scheme = scheme;
    this.authority = host;
    this.path = target;
    if (this.method === 'CONNECT') {
      this.authority = target.toLowerCase();
      this.path = '';
      const hasPort = /:\d+$/.test(target);
      return hasPort && isAuthority(this.authority) && !this.chunked && this.contentLength <= 0 ? 0 : 400;
    }
    if (target.charCodeAt(0) === 47) return 0;
    if (target === '*') return this.method === 'OPTIONS' ? 0 : 400;
    const match = absoluteForm.exec(target);
    if (match === null) return 400;
    this.scheme = match[1].toLowerCase() === 'https' ? 'https' : 'http';
    this.authority = match[2].toLowerCase();
    this.path = match[3].startsWith('/') ? match[3] : `/${match[3]}`;
    if (match[3] === '' && this.method === 'OPTIONS') this.path = '*';
    return isAuthority(this.authority) ? 0 : 400;
  }
}

const headEnd = Buffer.from('\r\n\r\n');

/** Where the head that starts at `start` ends, without its empty line; -1 while it is incomplete. */
export function findHeadEnd(input: Buffer, start: number): number {
  return input.indexOf(headEnd, start);
}

/** Whether the rest of a head that starts so is worth waiting for: 0, or the status that answers it now. */
export function checkPartialHead(input: Buffer, start: number, limits: HttpLimits): number {
  if (input.length - start > limits.maxHeadBytes) return 431;
  if (input[start] <= space || input[start] >= 127) return 400;
  let lines = 0;
  for (let at = input.indexOf(10, start); at >= 0; at = input.indexOf(10, at + 1)) {
    if (input[at - 1] !== 13) return 400;
    if (++lines > limits.maxHeaders + 1) return 431;
  }
  return 0;
}

/** Where the first line ends; -1 where a carriage return is in it, which is no end. */
function endOfLine(text: string): number {
  const at = text.indexOf('\r');
  if (at < 0) return text.length;
  return isLineEnd(text, at) ? at : -1;
}

function isLineEnd(text: string, at: number): boolean {
  return text.charCodeAt(at) === carriageReturn && text.charCodeAt(at + 1) === lineFeed;
}
