import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { systemClock } from '../../../runtime/model/index.ts';
import type { HeaderList } from '../../../runtime/net/http.ts';
import { createHttp1Client, createHttp1Server } from '../../../runtime/net/http1/index.ts';
import { Fetched, limits, MemoryConnection, RecordingHandler, turn } from './support.ts';

const options = { limits: limits(), clock: systemClock, scheme: 'http' as const };
const owner = { onCapacity() {}, onRetire() {} };

const token = fc.stringMatching(/^[a-z0-9!#$%&'*+.^_`|~-]{1,12}$/);
const fieldName = token.filter(
  (name) =>
    !/^(?:host|content-length|transfer-encoding|connection|keep-alive|te|expect|upgrade|proxy-.*|http2-settings)$/.test(
      name,
    ),
);
const fieldValue = fc.stringMatching(/^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]{0,20}[!-~\x80-\xff])?)?$/);
const fields = fc.array(fc.tuple(fieldName, fieldValue), { maxLength: 8 }).map((pairs): HeaderList => pairs.flat());
const path = fc.stringMatching(/^\/[!"$-~]{0,20}$/);
const body = fc.array(
  fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  { maxLength: 4 },
);

/** Feeds the text in pieces cut at the given places. */
function feed(connection: MemoryConnection, text: string, cuts: readonly number[]): void {
  const places = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b);
  let from = 0;
  for (const to of [...places, text.length]) {
    if (to > from) connection.receive(text.slice(from, to));
    from = to;
  }
}

function serverEvents(text: string, cuts: readonly number[]): unknown {
  const connection = new MemoryConnection();
  const handler = new RecordingHandler((served) => {
    // Answers at the end, wherever that is: pipelining takes its course.
    served.onEnd = (trailers) => {
      served.ended = true;
      served.trailers = trailers;
      served.reply(200, [], '');
    };
    if (served.ended) served.reply(200, [], '');
  });
  createHttp1Server(connection, handler, options);
  feed(connection, text, cuts);
  return [
    connection.ended,
    handler.served.map(({ head, body, ended, trailers, reset }) => [head, body, ended, trailers, reset]),
  ];
}

const requestText = fc
  .tuple(token, path, fields, fc.option(body), fields)
  .filter(([method]) => method !== 'CONNECT')
  .map(([method, target, headers, chunks, trailers]) => {
    const lines = (list: HeaderList) => list.map((each, i) => (i % 2 === 0 ? `${each}: ` : `${each}\r\n`)).join('');
    const head = `${method} ${target} HTTP/1.1\r\nhost: a\r\n${lines(headers)}`;
    if (chunks === null) return `${head}\r\n`;
    const parts = chunks.map((chunk) => `${chunk.length.toString(16)};x\r\n${chunk.toString('latin1')}\r\n`).join('');
    return `${head}transfer-encoding: chunked\r\n\r\n${parts}0\r\n${lines(trailers)}\r\n`;
  });

/** Valid requests, with one byte perhaps turned into another. */
const requestsText = fc
  .tuple(fc.array(requestText, { minLength: 1, maxLength: 3 }), fc.option(fc.tuple(fc.nat(), fc.nat(255))))
  .map(([requests, change]) => {
    const text = requests.join('');
    if (change === null) return text;
    const at = change[0] % text.length;
    return text.slice(0, at) + String.fromCharCode(change[1]) + text.slice(at + 1);
  });

describe('The codec', () => {
  test('sees the same requests however the bytes are cut', () => {
    fc.assert(
      fc.property(requestsText, fc.array(fc.nat(), { maxLength: 12 }), (text, cuts) => {
        expect(serverEvents(text, cuts)).toEqual(serverEvents(text, []));
      }),
      { numRuns: 400 },
    );
  });

  test('sees the same requests byte by byte', () => {
    fc.assert(
      fc.property(requestsText, (text) => {
        expect(
          serverEvents(
            text,
            Array.from(text, (_, i) => i),
          ),
        ).toEqual(serverEvents(text, []));
      }),
      { numRuns: 100 },
    );
  });

  test('reads what it writes: any request and any response arrive whole', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({ method: token, path, headers: fields, chunks: body, trailers: fields, sized: fc.boolean() }),
        fc.record({
          status: fc.integer({ min: 200, max: 999 }),
          headers: fields,
          chunks: body,
          trailers: fields,
          sized: fc.boolean(),
        }),
        fc.array(fc.nat(), { maxLength: 8 }),
        async (request, response, cuts) => {
          const here = new MemoryConnection();
          const there = new MemoryConnection();
          const handler = new RecordingHandler();
          createHttp1Server(there, handler, options);
          const client = createHttp1Client(here, owner, options);
          const sized = (message: { headers: HeaderList; chunks: readonly Buffer[]; sized: boolean }): HeaderList =>
            message.sized
              ? [...message.headers, 'content-length', String(Buffer.concat(message.chunks).length)]
              : message.headers;

          const fetched = new Fetched();
          const { method } = request;
          const asked = {
            method,
            scheme: 'http' as const,
            authority: 'a',
            path: request.path,
            headers: sized(request),
          };
          const stream = client.request(asked, false, fetched);
          for (const chunk of request.chunks) stream.write(chunk);
          stream.end(request.trailers);
          await turn();
          feed(there, here.written, cuts);
          const [served] = handler.served;
          expect(served.head).toEqual(asked);
          expect(served.body).toBe(Buffer.concat(request.chunks).toString('latin1'));
          expect(served.ended).toBe(true);
          if (!request.sized) expect(served.trailers ?? []).toEqual(request.trailers);

          const answered = { status: response.status, headers: sized(response) };
          served.stream.respond(answered, false);
          for (const chunk of response.chunks) served.stream.write(chunk);
          served.stream.end(response.trailers);
          await turn();
          feed(here, there.written, cuts);
          expect(fetched.ended).toBe(true);
          const bodiless = response.status === 204 || response.status === 304;
          expect(fetched.head?.status).toBe(response.status);
          if (response.status !== 204) expect(fetched.head?.headers).toEqual(answered.headers);
          expect(fetched.body).toBe(bodiless ? '' : Buffer.concat(response.chunks).toString('latin1'));
          if (!response.sized && !bodiless) expect(fetched.trailers ?? []).toEqual(response.trailers);
          expect(client.capacity).toBe(1);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('survives any bytes at all', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (parts) => {
        const connection = new MemoryConnection();
        createHttp1Server(connection, new RecordingHandler(), options);
        for (const part of parts) connection.handler.onData(Buffer.from(part));
      }),
      { numRuns: 300 },
    );
  });
});
