/** What a header field means to the codec itself; everything else just passes. */
export const FieldRole = {
  ordinary: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  keepAlive: 5,
  te: 6,
  expect: 7,
  /** Belongs to one connection and is dropped (RFC 9110 section 7.6.1). */
  hopByHop: 8,
  upgrade: 9,
} as const;

export interface KnownField {
  /** Lower-case. */
  readonly name: string;
  readonly role: number;
}

const ordinaryNames = `
accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-credentials
access-control-allow-headers access-control-allow-methods access-control-allow-origin access-control-expose-headers
access-control-max-age access-control-request-headers access-control-request-method age allow alt-svc authorization b3
baggage cache-control content-disposition content-encoding content-language content-location content-range
content-security-policy content-type cookie date dnt etag expires forwarded from grpc-accept-encoding grpc-encoding
grpc-message grpc-status grpc-timeout if-match if-modified-since if-none-match if-range if-unmodified-since
last-modified link location max-forwards origin permissions-policy pragma priority range referer referrer-policy
retry-after sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user
server server-timing set-cookie strict-transport-security traceparent tracestate trailer upgrade-insecure-requests
user-agent vary via warning www-authenticate x-b3-flags x-b3-parentspanid x-b3-sampled x-b3-spanid x-b3-traceid
x-content-type-options x-forwarded-client-cert x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto
x-frame-options x-powered-by x-real-ip x-request-id x-requested-with x-xss-protection
`;

const roles: readonly (readonly [string, number])[] = [
  ['host', FieldRole.host],
  ['content-length', FieldRole.contentLength],
  ['transfer-encoding', FieldRole.transferEncoding],
  ['connection', FieldRole.connection],
  ['keep-alive', FieldRole.keepAlive],
  ['te', FieldRole.te],
  ['expect', FieldRole.expect],
  ['upgrade', FieldRole.upgrade],
  ['http2-settings', FieldRole.hopByHop],
  ['proxy-connection', FieldRole.hopByHop],
  ['proxy-authenticate', FieldRole.hopByHop],
  ['proxy-authentication-info', FieldRole.hopByHop],
  ['proxy-authorization', FieldRole.hopByHop],
  // What frames a message in the eyes of applications that cannot tell `_` from `-` (CGI, WSGI, PHP).
  ['content_length', FieldRole.hopByHop],
  ['transfer_encoding', FieldRole.hopByHop],
];

/** Well-known names, lower-case. Fixed, so that no peer can fill it. */
const known = new Map<string, KnownField>();
const bucketCount = 512;
/** The same by their {@link nextHash}. */
const buckets: KnownField[][] = Array.from({ length: bucketCount }, () => []);
for (const [name, role] of [
  ...ordinaryNames
    .trim()
    .split(/\s+/)
    .map((each) => [each, FieldRole.ordinary] as const),
  ...roles,
]) {
  const field: KnownField = { name, role };
  known.set(name, field);
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = nextHash(hash, name.charCodeAt(i));
  buckets[hash % bucketCount].push(field);
}

/** A letter counts as in lower-case; of other characters of names, too, no two become one. */
export function nextHash(hash: number, code: number): number {
  return (hash * 31 + (code | 0x20)) & 0xffffff;
}

/**
 * The well-known field that a token in a head means, however it is spelled; `hash` is that of its characters. No string is
 * made of it, and the name that is found is the same string each time.
 */
export function fieldIn(text: string, start: number, end: number, hash: number): KnownField | undefined {
  for (const field of buckets[hash % bucketCount]) {
    const { name } = field;
    if (name.length !== end - start) continue;
    let i = 0;
    while (i < name.length && (text.charCodeAt(start + i) | 0x20) === (name.charCodeAt(i) | 0x20)) i++;
    if (i === name.length) return field;
  }
  return undefined;
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** By character code: 1 where it may stand in a token. */
export const tokenCharacters = Uint8Array.from({ length: 256 }, (_, code) =>
  Number(token.test(String.fromCharCode(code))),
);
const lowerCaseToken = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const authorityForm = /^(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/;

const standardMethods = new Set(['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'PATCH', 'OPTIONS', 'CONNECT', 'TRACE']);

/** Most requests name the same authority as the one before. */
let lastAuthority = 'localhost';

export function isToken(text: string): boolean {
  return token.test(text);
}

export function isMethod(text: string): boolean {
  return text === 'GET' || standardMethods.has(text) || isToken(text);
}

/** What may stand between the blanks of a request line: printable ASCII, and no fragment. */
export function isTarget(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 33 || code > 126 || code === 35) return false;
  }
  return text !== '';
}

/** A field name as it may be written: lower-case. */
export function isFieldName(name: string): boolean {
  return lowerCaseToken.test(name);
}

/** The field of a well-known name in lower-case. */
export function knownField(name: string): KnownField | undefined {
  return known.get(name);
}

/** Host with optional port, lower-case, without user information. */
export function isAuthority(text: string): boolean {
  if (text === lastAuthority) return true;
  const match = authorityForm.exec(text);
  const valid = match !== null && (match[1] === undefined || Number(match[1]) <= 65_535);
  if (valid) lastAuthority = text;
  return valid;
}

/** The same in lower-case, and the same string for as long as it is; `undefined` when it is none. */
export function authorityOf(text: string): string | undefined {
  return text === lastAuthority || isAuthority(text.toLowerCase()) ? lastAuthority : undefined;
}

/** Names a `connection` field may not take out: others rely on them (access, forwarding, tracing). */
export function isProtectedField(name: string): boolean {
  const field = known.get(name);
  if (field !== undefined) return field.role < FieldRole.hopByHop;
  return /^(?:x-forwarded-|x-b3-|x-envoy-|x-meshwright-|grpc-|content-|sec-)/.test(name);
}
