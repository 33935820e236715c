import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ConnectionError } from '../../runtime/net/http2/frame.ts';
import { HpackDecoder } from '../../runtime/net/http2/hpack/decoder.ts';
import { createHttp2Client, createHttp2Server } from '../../runtime/net/http2/index.ts';
import { block, flag, frame, preface, request, requestFields, splitFrames, type, uint32 } from '../net/http2/frames.ts';
import { malformedRequests } from '../net/http2/malformed.ts';
import { get, MemoryConnection, options, post, RecordedRequest, RecordedResponse } from '../net/http2/support.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { Backend, forward } from './backend.ts';
import { binaryCorpusOf, cuts, messages, pieces, runs } from './generators.ts';

const settings = frame(type.settings, 0, 0);
const frames = [
  ...[type.data, type.headers, type.priority, type.reset, type.settings, type.push, type.ping, type.goAway].flatMap(
    (kind) => [frame(kind, 0, 1), frame(kind, 5, 3, block(...requestFields)), frame(kind, flag.padded, 1, '\x01xx')],
  ),
  ...[type.window, type.reset].map((kind) => frame(kind, 0, 1, uint32(8))),
  ...[0, 1, 0x7fff_ffff].map((increment) => frame(type.window, 0, 0, uint32(increment))),
  ...['000100000000', '0001ffffffff', '000400000000', '00047fffffff', '000500ffffff', '000800000001'].map((hex) =>
    frame(type.settings, 0, 0, Buffer.from(hex, 'hex')),
  ),
  frame(type.ping, 0, 0, '12345678'),
  frame(type.continuation, 4, 1, block('x', 'y')),
  frame(type.headers, flag.endHeaders | flag.endStream, 1, block('x-trailer', '1')),
];
const fields = [
  ...[
    '\r\n',
    '\0',
    'content-length',
    'transfer-encoding',
    ':path',
    ':method',
    ':protocol',
    'host',
    'cookie',
    'connection',
  ],
  ...['\x82', '\x86', '\x84', '\x88', '\xbe', '\x3f\xe1\x1f', '\x20', '\x40', '\x10', '\x00', '\x7f\xff\xff', '\xff'],
].map((text) => Buffer.from(text, 'latin1'));
const words = [...frames, ...fields];
const requests = messages({
  good: binaryCorpusOf('http2-requests'),
  bad: malformedRequests.map(([, fields]) => request(1, fields)),
  words,
  join: onNewStreams,
});
const responses = messages({ good: binaryCorpusOf('http2-responses'), words });
const blocks = messages({ good: binaryCorpusOf('hpack'), words: fields });

/** Gives each message streams above those of the ones before it. */
function onNewStreams(parts: Buffer[]): Buffer {
  let highest = -1;
  const frames = parts.flatMap((part) => {
    const streams: number[] = [];
    const base = highest;
    return splitFrames(part).map(({ type, flags, streamId, payload }) => {
      if (streamId > 0 && !streams.includes(streamId)) streams.push(streamId);
      const renumbered = streamId === 0 ? 0 : base + 2 * (streams.indexOf(streamId) + 1);
      highest = Math.max(highest, renumbered);
      return frame(type, flags, renumbered, payload);
    });
  });
  return Buffer.concat(frames);
}

/** What went wrong, in the order it was said. */
function faults(connection: MemoryConnection, skip: number): unknown[] {
  return splitFrames(Buffer.concat(connection.written).subarray(skip))
    .filter((frame) => frame.type === type.reset || frame.type === type.goAway)
    .map((frame) => [frame.type, frame.streamId, frame.payload.toString('hex')]);
}

/** How a message ended; how much of one that broke off had come by then is a matter of chance. */
function outcome({ text, ended, trailers, resetReason }: RecordedRequest | RecordedResponse) {
  return resetReason === undefined ? { text, ended, trailers } : { resetReason };
}

async function serve(chunks: readonly Buffer[]) {
  const connection = new MemoryConnection();
  const seen: RecordedRequest[] = [];
  const handler = {
    onRequest(...args: ConstructorParameters<typeof RecordedRequest>) {
      const request = new RecordedRequest(...args);
      seen.push(request);
      return request;
    },
  };
  const server = createHttp2Server(connection, handler, options({}, new ManualClock()));
  for (const chunk of chunks) connection.receive(chunk);
  await new Promise(setImmediate);
  const states = seen.map((request) => ({ head: request.head, ...outcome(request) }));
  const said = faults(connection, 0);
  server.destroy();
  return { states, said };
}

test('the server sees the same requests however the bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(requests, cuts, async (bytes, places) => {
      const conversation = Buffer.concat([preface, settings, bytes]);
      expect(await serve(pieces(conversation, places))).toEqual(await serve([conversation]));
    }),
    { numRuns: runs },
  );
});

test('an application of HTTP/1.1 behind us sees the requests that we saw, and no other', async () => {
  const backend = new Backend();
  let [forwardedAll, seenAll] = [0, 0];
  await fc.assert(
    fc.asyncProperty(requests, async (bytes) => {
      const { states } = await serve([preface, settings, bytes]);
      const complete = states.filter(({ ended }) => ended);
      const { bytes: forwarded, sent } = await forward(complete.map(({ head, text }) => ({ head, body: text ?? '' })));
      const seen = await backend.read(forwarded);
      expect(seen).toEqual(sent.slice(0, seen.length));
      forwardedAll += sent.length;
      seenAll += seen.length;
    }),
    { numRuns: runs },
  );
  expect(forwardedAll).toBeGreaterThan(runs / 4);
  expect(seenAll).toBeGreaterThan(forwardedAll / 2);
});

test('the client hears the same answers however the bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(responses, cuts, async (bytes, places) => {
      const hear = async (chunks: readonly Buffer[]) => {
        const connection = new MemoryConnection();
        const owner = { onCapacity() {}, onRetire() {} };
        const client = createHttp2Client(connection, owner, options({}, new ManualClock()));
        const heads = [get('/'), { ...get('/'), method: 'HEAD' }, post('/'), { ...get('/'), upgrade: 'websocket' }];
        const heard = heads.map((head, i) => {
          const response = new RecordedResponse();
          client.request(head, i < 2, response);
          return response;
        });
        await new Promise(setImmediate);
        for (const chunk of chunks) connection.receive(chunk);
        await new Promise(setImmediate);
        const states = heard.map((response) => {
          const { informational, head } = response;
          return { informational, head, ...outcome(response) };
        });
        const said = faults(connection, preface.length);
        client.destroy();
        return { states, said };
      };
      const conversation = Buffer.concat([settings, bytes]);
      expect(await hear(pieces(conversation, places))).toEqual(await hear([conversation]));
    }),
    { numRuns: runs },
  );
});

test('the decoder of header blocks ends in a list within its bounds or in a connection error', () => {
  const limits = { tableSize: 4096, maxListSize: 8000, maxFields: 50 };
  fc.assert(
    fc.property(fc.array(blocks, { minLength: 1, maxLength: 5 }), (sequence) => {
      const decoder = new HpackDecoder(limits);
      const again = new HpackDecoder(limits);
      for (const bytes of sequence) {
        let list: string[];
        try {
          list = decoder.decode(bytes, 0, bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(ConnectionError);
          expect(() => again.decode(bytes, 0, bytes.length)).toThrow(ConnectionError);
          return;
        }
        const size = list.reduce((sum, text) => sum + text.length, (list.length / 2) * 32);
        expect(size).toBeLessThanOrEqual(limits.maxListSize);
        expect(list.length).toBeLessThanOrEqual(limits.maxFields * 2);
        if (!decoder.malformed) {
          for (const [i, text] of list.entries()) {
            expect(text).toMatch(i % 2 === 0 ? /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/ : /^[\t\x20-\x7e\x80-\xff]*$/);
          }
        }
        // Where it lies in memory makes no difference.
        const shifted = Buffer.concat([Buffer.alloc(3, 0xff), bytes, Buffer.alloc(3, 0xff)]);
        expect(again.decode(shifted, 3, 3 + bytes.length)).toEqual(list);
      }
    }),
    { numRuns: runs },
  );
});
