import { createHash, randomBytes } from 'node:crypto';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { listening } from './listening.ts';

export const opcode = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface WebSocketFrame {
  readonly final: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
}

/** What a server answers to a key (RFC 6455 section 4.2.2). */
export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** One end of a WebSocket over any stream, frame by frame: fragments, pings and close codes are the test's to send. */
export class WebSocketPeer {
  readonly stream: Duplex;
  readonly frames: WebSocketFrame[] = [];
  ended = false;
  onFrame: (frame: WebSocketFrame) => void = () => {};
  readonly #masks: boolean;
  #input: Buffer = Buffer.alloc(0);
  #waiting: (() => void)[] = [];

  /** Clients mask what they send. */
  constructor(stream: Duplex, masks: boolean) {
    this.stream = stream;
    this.#masks = masks;
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('error', () => {});
    for (const event of ['end', 'close']) {
      stream.on(event, () => {
        this.ended = true;
        this.#wake();
      });
    }
  }

  send(opcode: number, payload: Buffer | string = '', final = true): boolean {
    return this.stream.write(frameOf(opcode, Buffer.from(payload), final, this.#masks));
  }

  close(code: number, reason = ''): void {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.send(opcode.close, Buffer.concat([payload, Buffer.from(reason)]));
  }

  /** The next frame. */
  async next(): Promise<WebSocketFrame> {
    while (this.frames.length === 0) {
      if (this.ended) throw new Error('the stream ended');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.frames.shift()!;
  }

  async untilEnd(): Promise<void> {
    while (!this.ended) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #receive(chunk: Buffer): void {
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
    for (let frame = this.#take(); frame; frame = this.#take()) {
      this.frames.push(frame);
      this.onFrame(frame);
      this.#wake();
    }
  }

  #take(): WebSocketFrame | undefined {
    const input = this.#input;
    if (input.length < 2) return undefined;
    const masked = (input[1] & 0x80) !== 0;
    let length = input[1] & 0x7f;
    let at = 2;
    const lengthBytes = length === 126 ? 2 : length === 127 ? 8 : 0;
    if (input.length < at + lengthBytes) return undefined;
    if (lengthBytes === 2) length = input.readUInt16BE(at);
    else if (lengthBytes === 8) length = Number(input.readBigUInt64BE(at));
    at += lengthBytes + (masked ? 4 : 0);
    if (input.length < at + length) return undefined;
    const payload = Buffer.from(input.subarray(at, at + length));
    if (masked) for (let i = 0; i < length; i++) payload[i] ^= input[at - 4 + (i % 4)];
    this.#input = input.subarray(at + length);
    return { final: (input[0] & 0x80) !== 0, opcode: input[0] & 0x0f, payload };
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function frameOf(code: number, payload: Buffer, final: boolean, masks: boolean): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = (final ? 0x80 : 0) | code;
  head[1] = (masks ? 0x80 : 0) | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(length, 2);
  else if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  if (!masks) return Buffer.concat([head, payload]);
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ mask[i % 4])]);
}

/**
 * An application that echoes messages, answers pings, takes the first subprotocol and gives close codes back. Other
 * paths than `/chat` are refused.
 */
export async function startWebSocketApp(onRequest: (request: IncomingMessage) => void = () => {}) {
  const peers = new Set<WebSocketPeer>();
  const server = createServer((request, response) => {
    onRequest(request);
    response.end(`no upgrade of ${request.url}`);
  });
  server.on('upgrade', (request, stream, head) => {
    onRequest(request);
    if (!request.url?.startsWith('/chat')) {
      stream.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 5\r\nx-app: yes\r\nconnection: close\r\n\r\nnever');
      return;
    }
    const accept = acceptOf(String(request.headers['sec-websocket-key']));
    const [protocol] = (request.headers['sec-websocket-protocol'] ?? '').split(',');
    stream.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n` +
        `${protocol ? `Sec-WebSocket-Protocol: ${protocol}\r\n` : ''}x-app: yes\r\n\r\n`,
    );
    stream.unshift(head);
    stream.on('end', () => stream.end());
    const peer = new WebSocketPeer(stream, false);
    peers.add(peer);
    stream.on('close', () => peers.delete(peer));
    peer.onFrame = (frame) => {
      if (frame.opcode === opcode.ping) peer.send(opcode.pong, frame.payload);
      else if (frame.opcode !== opcode.pong) peer.send(frame.opcode, frame.payload, frame.final);
      if (frame.opcode === opcode.close) stream.end();
    };
  });
  const { port, close } = await listening(server);
  return {
    port,
    /** Sockets that are open. */
    peers,
    close,
  };
}

/** Opens a WebSocket with Node's HTTP client, and hands it over frame by frame. */
export function openWebSocket(port: number, path: string, headers: Record<string, string> = {}) {
  const key = randomBytes(16).toString('base64');
  return new Promise<{ peer: WebSocketPeer; response: IncomingMessage }>((resolve, reject) => {
    const request = httpRequest({
      host: '127.0.0.1',
      port,
      path,
      agent: false,
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': key,
        ...headers,
      },
    });
    request.on('upgrade', (response, stream, head) => {
      if (response.headers['sec-websocket-accept'] !== acceptOf(key)) {
        reject(new Error('the server accepted another key'));
        return;
      }
      stream.unshift(head);
      resolve({ peer: new WebSocketPeer(stream, true), response });
    });
    request.on('response', (response) => {
      response.resume();
      reject(new Error(`refused with ${response.statusCode}`));
    });
    request.on('error', reject);
    request.end();
  });
}
