/** What a client says first on a TLS connection, as far as it matters before the handshake. */
export interface ClientHello {
  /** The application protocols that it offers (ALPN, RFC 7301), in its order. */
  readonly protocols: readonly string[];
  /** The server that it wants to speak to (SNI, RFC 6066), in lower case. With ECH, the one that everybody may know. */
  readonly serverName?: string;
}

const handshakeRecord = 22;
const clientHello = 1;
const serverNameExtension = 0;
const hostNameType = 0;
const alpnExtension = 16;
/** Of a record's content (RFC 8446 section 5.1), and more than any client says. */
const maxBytes = 16_384;
/** One is the rule; a client that wants its words put together from many wants something else. */
const maxRecords = 16;

/** Whether a connection that begins so speaks TLS. */
export function beginsWithTls(bytes: Buffer): boolean {
  return bytes[0] === handshakeRecord;
}

/**
 * Reads the ClientHello (RFC 8446 section 4.1.2) that a connection begins with. `incomplete` asks for more bytes;
 * `undefined` is no ClientHello, or one that nobody sends.
 */
export function parseClientHello(bytes: Buffer): ClientHello | 'incomplete' | undefined {
  const message = handshakeMessage(bytes);
  if (!Buffer.isBuffer(message)) return message;
  try {
    return readExtensions(message);
  } catch {
    // A length that leads beyond the end.
    return undefined;
  }
}

/** The body of the first handshake message, which may be spread over several records. */
function handshakeMessage(bytes: Buffer): Buffer | 'incomplete' | undefined {
  const fragments: Buffer[] = [];
  let [size, offset] = [0, 0];
  for (;;) {
    const head = size < 4 ? undefined : Buffer.concat(fragments);
    if (head) {
      const length = head.readUIntBE(1, 3);
      if (head[0] !== clientHello || length > maxBytes) return undefined;
      if (size >= 4 + length) return head.subarray(4, 4 + length);
    }
    if (offset < bytes.length && bytes[offset] !== handshakeRecord) return undefined;
    if (bytes.length < offset + 5) return 'incomplete';
    const length = bytes.readUInt16BE(offset + 3);
    if (bytes[offset + 1] !== 3 || length === 0 || length > maxBytes) return undefined;
    if (fragments.length === maxRecords) return undefined;
    const fragment = bytes.subarray(offset + 5, offset + 5 + length);
    fragments.push(fragment);
    size += fragment.length;
    offset += 5 + length;
  }
}

function readExtensions(hello: Buffer): ClientHello {
  const [version, random] = [2, 32];
  let at = version + random;
  at += 1 + hello.readUInt8(at); // session id
  at += 2 + hello.readUInt16BE(at); // cipher suites
  at += 1 + hello.readUInt8(at); // compression methods
  let protocols: readonly string[] | undefined;
  let serverName: string | undefined;
  const end = at === hello.length ? at : at + 2 + hello.readUInt16BE(at);
  for (at += 2; at < end; at += 4 + hello.readUInt16BE(at + 2)) {
    const type = hello.readUInt16BE(at);
    if (type === alpnExtension) protocols ??= namesIn(hello, at + 4);
    else if (type === serverNameExtension) serverName ??= hostNameIn(hello, at + 4);
  }
  return { protocols: protocols ?? [], ...(serverName !== undefined && { serverName }) };
}

/** One name, as there is one type of names only (RFC 6066 section 3). */
function hostNameIn(bytes: Buffer, list: number): string | undefined {
  const [type, length, name] = [list + 2, list + 3, list + 5];
  if (bytes.readUInt16BE(list) < 3 || bytes.readUInt8(type) !== hostNameType) return undefined;
  const end = name + bytes.readUInt16BE(length);
  if (end > bytes.length) throw new RangeError('the name leads beyond the end');
  return bytes.toString('latin1', name, end).toLowerCase();
}

/** A list of names, each with its length before it. */
function namesIn(bytes: Buffer, start: number): readonly string[] {
  const names: string[] = [];
  const end = start + 2 + bytes.readUInt16BE(start);
  for (let at = start + 2; at < end; at += 1 + bytes[at]) {
    names.push(bytes.toString('latin1', at + 1, at + 1 + bytes.readUInt8(at)));
  }
  return names;
}
