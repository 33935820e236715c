import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createHttp1Client, createHttp1Server } from '../../runtime/net/http1/index.ts';
import { brokenBodies, brokenResponses, chunkedHead, refused, smuggled } from '../net/http1/malformed.ts';
import { Fetched, limits, MemoryConnection, RecordingHandler, turn } from '../net/http1/support.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { Backend, forward } from './backend.ts';
import { corpusOf, cuts, messages, pieces, runs } from './generators.ts';

const words = [
  ...['\r\n', '\n', '\r', '\r\n\r\n', ' ', '\t', ':', ';', ',', '\0', '\x0b', '\xa0', '_', '"', '0', '5', 'f'],
  ...[
    'Content-Length: 5\r\n',
    'content-length: 0\r\n',
    'Transfer-Encoding: chunked\r\n',
    'transfer-encoding: identity\r\n',
  ],
  ...[
    'Host: b\r\n',
    'Connection: close\r\n',
    'Connection: content-length\r\n',
    'Connection: upgrade\r\n',
    'Upgrade: h2c\r\n',
  ],
  ...[
    'Expect: 100-continue\r\n',
    ' folded\r\n',
    'HTTP/1.1',
    'HTTP/1.0',
    'chunked',
    'GET ',
    smuggled,
    '0\r\n\r\n',
    '5\r\nhello\r\n',
  ],
  ...['X-A: b\r\n', 'Content_Length: 1\r\n', '__proto__: x\r\n'],
].map((text) => Buffer.from(text, 'latin1'));
const bytesOf = (texts: readonly string[]): Buffer[] =>
  texts.filter(({ length }) => length < 2000).map((text) => Buffer.from(text, 'latin1'));
const requests = messages({
  good: corpusOf('http1-requests'),
  bad: bytesOf([...refused.map(([, , text]) => text), ...brokenBodies.map(([, body]) => chunkedHead + body)]),
  words,
});
const responses = messages({
  good: corpusOf('http1-responses'),
  bad: bytesOf(brokenResponses.map(([, text]) => text)),
  words,
});

/** Runs our server on the bytes; its handler answers each request when it has all of it. */
function serve(chunks: readonly Buffer[]) {
  const connection = new MemoryConnection();
  const handler = new RecordingHandler((served) => {
    const answer = (): void => served.reply(200, [], '');
    const { onEnd } = served;
    served.onEnd = (trailers) => {
      onEnd.call(served, trailers);
      answer();
    };
    if (served.ended) answer();
  });
  createHttp1Server(connection, handler, { limits: limits(), clock: new ManualClock(), scheme: 'http' });
  for (const chunk of chunks) connection.receive(chunk.toString('latin1'));
  return { connection, handler };
}

test('the server sees the same requests however the bytes are cut, and none after a fault', () => {
  fc.assert(
    fc.property(requests, cuts, (bytes, places) => {
      const see = (chunks: readonly Buffer[]) => {
        const { connection, handler } = serve(chunks);
        const seen = handler.served.map(({ head, body, ended, trailers, reset }) => [
          head,
          body,
          ended,
          trailers,
          reset,
        ]);
        return { ended: connection.ended, destroyed: connection.destroyed, seen };
      };
      const whole = see([bytes]);
      expect(see(pieces(bytes, places))).toEqual(whole);
    }),
    { numRuns: runs },
  );
});

test('an application behind us sees the requests that we saw, and no other', async () => {
  const backend = new Backend();
  let [forwardedAll, seenAll] = [0, 0];
  await fc.assert(
    fc.asyncProperty(requests, async (bytes) => {
      const complete = serve([bytes]).handler.served.filter(({ ended }) => ended);
      const { bytes: forwarded, sent } = await forward(complete);
      const seen = await backend.read(forwarded);
      // It may refuse what it does not like; that ends the connection.
      expect(seen).toEqual(sent.slice(0, seen.length));
      forwardedAll += sent.length;
      seenAll += seen.length;
    }),
    { numRuns: runs },
  );
  expect(forwardedAll).toBeGreaterThan(runs / 4);
  expect(seenAll).toBeGreaterThan(forwardedAll / 2);
});

test('the client hears the same answer however the bytes are cut, and none behind it', async () => {
  const head = { method: 'GET', scheme: 'http' as const, authority: 'a', path: '/', headers: [] };
  await fc.assert(
    fc.asyncProperty(responses, cuts, fc.constantFrom('GET', 'HEAD'), async (bytes, places, method) => {
      const hear = async (chunks: readonly Buffer[]) => {
        const connection = new MemoryConnection();
        const owner = { onCapacity() {}, onRetire() {} };
        const client = createHttp1Client(connection, owner, { limits: limits(), clock: new ManualClock() });
        const fetched = new Fetched();
        client.request({ ...head, method, headers: [] }, true, fetched);
        await turn();
        for (const chunk of chunks) connection.receive(chunk.toString('latin1'));
        const { informational, head: answer, body, trailers, ended, reset } = fetched;
        return { informational, answer, body, trailers, ended, reset, destroyed: connection.destroyed };
      };
      const whole = await hear([bytes]);
      const inPieces = await hear(pieces(bytes, places));
      // A connection that is kept is given up only when what is behind the answer comes.
      expect({ ...inPieces, destroyed: true }).toEqual({ ...whole, destroyed: true });
      if (whole.ended) expect(whole.body.length).toBeLessThanOrEqual(bytes.length);
      if (whole.reset !== undefined) expect(whole.destroyed).toBe(true);
    }),
    { numRuns: runs },
  );
});
