import { defaultHttpLimits } from '../../runtime/net/http.ts';
import { createHttp1Client, createHttp1Server } from '../../runtime/net/http1/index.ts';
import { HpackDecoder } from '../../runtime/net/http2/hpack/decoder.ts';
import { createHttp2Client, createHttp2Server } from '../../runtime/net/http2/index.ts';
import type { Connection, ConnectionHandler, Lender } from '../../runtime/net/index.ts';
import { block, flag, frame, preface, request, requestFields, type, uint32 } from '../net/http2/frames.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { binaryCorpusOf, corpusOf } from './generators.ts';

/*
 * Run with --expose-gc: writes how many bytes one codec holds after each kind of input, by its name (JSON). What comes in
 * never ends, or comes over and over; what goes out is forgotten.
 */

class Sink implements Connection {
  handler: ConnectionHandler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
  readonly peerIdentity = undefined;
  readonly remoteAddress = 'memory';
  #open = true;

  write(_data: Buffer | string, lender?: Lender): boolean {
    lender?.release();
    return true;
  }

  end(): void {
    this.#open = false;
  }

  destroy(): void {
    this.#open = false;
  }

  pause(): void {
    this.#open = false;
  }

  resume(): void {
    this.#open = true;
  }

  /** As the kernel does: no more than is wanted, and in bytes that are overwritten. */
  feed(bytes: Buffer, times = 1, size = bytes.length): this {
    const chunk = Buffer.alloc(size);
    for (let round = 0; round < times; round++) {
      for (let at = 0; at < bytes.length && this.#open; at += size) {
        const length = bytes.copy(chunk, 0, at);
        this.handler.onData(chunk.subarray(0, length));
      }
    }
    return this;
  }
}

const deaf = { onData() {}, onEnd() {}, onReset() {}, onDrain() {}, onInformational() {}, onResponse() {} };
const silent = { onRequest: () => deaf };
const owner = { onCapacity() {}, onRetire() {} };
const limits = { ...defaultHttpLimits, maxConcurrentStreams: 100 };
const text = (value: string) => Buffer.from(value, 'latin1');

function http1Server(): Sink {
  const connection = new Sink();
  createHttp1Server(connection, silent, { limits, clock: new ManualClock(), scheme: 'http' });
  return connection;
}

function http1Client(): Sink {
  const connection = new Sink();
  const client = createHttp1Client(connection, owner, { limits, clock: new ManualClock() });
  client.request({ method: 'GET', scheme: 'http', authority: 'a', path: '/', headers: [] }, true, deaf);
  return connection;
}

function http2Server(): Sink {
  const connection = new Sink();
  createHttp2Server(connection, silent, { limits, clock: new ManualClock() });
  return connection.feed(Buffer.concat([preface, frame(type.settings, 0, 0)]));
}

function http2Client(): Sink {
  const connection = new Sink();
  const client = createHttp2Client(connection, owner, { limits, clock: new ManualClock() });
  client.request({ method: 'GET', scheme: 'http', authority: 'a', path: '/', headers: [] }, true, deaf);
  return connection.feed(frame(type.settings, 0, 0));
}

const chunked = 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n';
const manyStreams = Buffer.concat(Array.from({ length: 2000 }, (_, i) => request(2 * i + 1)));
const manyResets = Buffer.concat(
  Array.from({ length: 2000 }, (_, i) =>
    Buffer.concat([request(2 * i + 1), frame(type.reset, 0, 2 * i + 1, uint32(8))]),
  ),
);
/** A field of 4000 bytes that goes into the table, each time another one. */
const entries = Array.from({ length: 50 }, (_, i) =>
  Buffer.concat([
    Buffer.from([0x40, 4]),
    text(`x-${10 + i}`),
    Buffer.from([0x7f, 0xa1, 0x1e]),
    Buffer.alloc(4000, 65 + i),
  ]),
);
const answered = block(':status', '103');

const inputs: Readonly<Record<string, () => unknown>> = {
  'HTTP/1.1 server: a head without end': () =>
    http1Server().feed(text(`GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(59_000)}`), 1, 100),
  'HTTP/1.1 server: a head of many fields': () =>
    http1Server().feed(text(`GET / HTTP/1.1\r\nhost: a\r\n${'a: b\r\n'.repeat(9000)}`), 1, 100),
  'HTTP/1.1 server: chunk extensions without end': () =>
    http1Server().feed(text(`${chunked}5;${'x'.repeat(200_000)}`), 1, 1000),
  'HTTP/1.1 server: trailers without end': () =>
    http1Server().feed(text(`${chunked}0\r\n${'a: b\r\n'.repeat(50_000)}`), 1, 100),
  'HTTP/1.1 server: requests that are not answered': () =>
    http1Server().feed(text('GET / HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(10_000)), 1, 65_536),
  'HTTP/1.1 server: a body of tiny chunks': () =>
    http1Server()
      .feed(text(chunked))
      .feed(text('1\r\nx\r\n'.repeat(10_000)), 10, 7),
  'HTTP/1.1 client: a head without end': () =>
    http1Client().feed(text(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(500_000)}`), 1, 1000),
  'HTTP/1.1 client: interim responses without end': () =>
    http1Client().feed(text(`HTTP/1.1 103 Early Hints\r\nlink: ${'x'.repeat(1000)}\r\n\r\n`), 5000),
  'HTTP/2 server: CONTINUATION without end': () =>
    http2Server()
      .feed(frame(type.headers, 0, 1, block('x', 'y'.repeat(10_000))))
      .feed(frame(type.continuation, 0, 1, 'x'.repeat(10_000)), 100),
  'HTTP/2 server: a frame that does not come': () =>
    http2Server().feed(frame(type.headers, flag.endHeaders, 1, Buffer.alloc(16_384)).subarray(0, 16_000), 1, 50),
  'HTTP/2 server: tables that are filled': () => {
    const connection = http2Server();
    for (const [i, entry] of entries.entries()) {
      connection.feed(
        frame(
          type.headers,
          flag.endHeaders | flag.endStream,
          2 * i + 1,
          Buffer.concat([block(...requestFields), entry]),
        ),
      );
    }
    return connection;
  },
  'HTTP/2 server: streams that are not answered': () => http2Server().feed(manyStreams),
  'HTTP/2 server: streams that are reset': () => http2Server().feed(manyResets),
  'HTTP/2 server: floods of control frames': () =>
    http2Server()
      .feed(frame(type.ping, 0, 0, '12345678'), 5000)
      .feed(frame(type.settings, 0, 0), 5000)
      .feed(frame(type.priority, 0, 1, '12345'), 5000),
  'HTTP/2 client: interim responses without end': () =>
    http2Client().feed(frame(type.headers, flag.endHeaders, 1, answered), 5000),
  'HTTP/2 client: CONTINUATION without end': () =>
    http2Client()
      .feed(frame(type.headers, 0, 1, block(':status', '200', 'x', 'y'.repeat(10_000))))
      .feed(frame(type.continuation, 0, 1, 'x'.repeat(10_000)), 100),
  'HPACK: a table that is filled over and over': () => {
    const decoder = new HpackDecoder({ tableSize: 4096, maxListSize: 8000, maxFields: 50 });
    for (let round = 0; round < 20; round++) for (const entry of entries) decoder.decode(entry, 0, entry.length);
    return decoder;
  },
  'HPACK: lists that expand': () => {
    const decoder = new HpackDecoder({ tableSize: 4096, maxListSize: 8000, maxFields: 50 });
    decoder.decode(entries[0], 0, entries[0].length);
    const bomb = Buffer.alloc(10_000, 0xbe);
    for (let round = 0; round < 20; round++) decoder.decode(bomb, 0, bomb.length);
    return decoder;
  },
  'the corpus of HTTP/1.1, over and over': () => {
    const connections = corpusOf('http1-requests').map((bytes) => http1Server().feed(bytes, 20, 13));
    return connections.at(-1);
  },
  'the corpus of HTTP/2, over and over': () => {
    const connections = binaryCorpusOf('http2-requests').map((bytes) => http2Server().feed(bytes, 20, 13));
    return connections.at(-1);
  },
  // What the measure is worth: this is what it must see.
  'a megabyte': () => Buffer.alloc(1_000_000),
};

/** How many of each are held at once. */
const count = 10;

/** Buffers go some collections after what held them. */
async function used(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0, settled = 0; round < 30 && settled < 4; round++) {
    await new Promise(setImmediate);
    globalThis.gc!();
    const { heapUsed, external } = process.memoryUsage();
    settled = heapUsed + external < least - 1000 ? 0 : settled + 1;
    least = Math.min(least, heapUsed + external);
  }
  return least;
}

async function heldByOne(make: () => unknown): Promise<number> {
  // Code, and what all connections share.
  for (let each = 0; each < 3; each++) make();
  const before = await used();
  const kept = Array.from({ length: count }, make);
  return Math.round(((await used()) - before) / kept.length);
}

// What loading left behind goes first.
await heldByOne(() => new Sink());
const result: Record<string, number> = {};
for (const [name, make] of Object.entries(inputs)) result[name] = await heldByOne(make);
process.stdout.write(JSON.stringify(result));
