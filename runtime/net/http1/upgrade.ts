import { createHash, randomBytes } from 'node:crypto';
import type { HeaderList } from '../http.ts';
import { isUpgradeToken } from '../upgrade-token.ts';

const maxOffers = 8;

/** Concatenated with the key (RFC 6455 section 1.3). */
const webSocketId = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** Base64 of 16 bytes. */
const webSocketKey = /^[A-Za-z0-9+/]{22}==$/;
const keyField = 'sec-websocket-key';
const acceptField = 'sec-websocket-accept';

/** The protocol to switch to of those that an `upgrade` field offers; `undefined` when it offers none that passes a proxy. */
export function offeredProtocol(upgrade: string): string | undefined {
  for (const each of upgrade.split(',', maxOffers)) {
    const protocol = each.trim();
    if (isUpgradeToken(protocol)) return protocol;
  }
  return undefined;
}

/**
 * A client's wish to speak another protocol, as a server answers it. The proof that a WebSocket server understood
 * belongs to one connection (RFC 8441 section 5): key and answer never leave it.
 */
export class UpgradeRequest {
  readonly protocol: string;
  readonly #key: string | undefined;

  /** Takes the key out of `headers`. */
  constructor(protocol: string, headers: HeaderList) {
    this.protocol = protocol;
    this.#key = isWebSocket(protocol) ? (takeField(headers, keyField) ?? '') : undefined;
  }

  get valid(): boolean {
    return this.#key === undefined || webSocketKey.test(this.#key);
  }

  /** The lines that go with 101, of which `headers` are the rest. */
  accept(headers: HeaderList): string {
    takeField(headers, acceptField);
    const accept = this.#key === undefined ? '' : `${acceptField}: ${acceptOf(this.#key)}\r\n`;
    return `connection: upgrade\r\nupgrade: ${this.protocol}\r\n${accept}`;
  }
}

/** Our wish towards a server. */
export class UpgradeOffer {
  readonly #protocol: string;
  readonly #key: string | undefined;

  /** `headers` are the other fields of the request. */
  constructor(protocol: string, headers: HeaderList) {
    this.#protocol = protocol;
    takeField(headers, keyField);
    this.#key = isWebSocket(protocol) ? randomBytes(16).toString('base64') : undefined;
  }

  /** The lines that go with the request. */
  get fields(): string {
    const key = this.#key === undefined ? '' : `${keyField}: ${this.#key}\r\n`;
    return `connection: upgrade\r\nupgrade: ${this.#protocol}\r\n${key}`;
  }

  /** Whether 101 with these fields is a yes to this offer; takes its proof out of them. */
  isAccepted(upgrade: string, headers: HeaderList): boolean {
    if (upgrade.toLowerCase() !== this.#protocol.toLowerCase()) return false;
    return this.#key === undefined || takeField(headers, acceptField) === acceptOf(this.#key);
  }
}

function isWebSocket(protocol: string): boolean {
  return protocol.toLowerCase() === 'websocket';
}

function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}${webSocketId}`).digest('base64');
}

/** Takes a field out of the list; `undefined` unless it was there exactly once. */
function takeField(headers: HeaderList, name: string): string | undefined {
  let found: string | undefined;
  let times = 0;
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (headers[i] !== name) continue;
    [, found] = headers.splice(i, 2);
    times++;
  }
  return times === 1 ? found : undefined;
}
