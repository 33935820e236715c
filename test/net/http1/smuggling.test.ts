import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../runtime/model/index.ts';
import { createHttp1Client, createHttp1Server } from '../../../runtime/net/http1/index.ts';
import {
  Fetched,
  limits,
  MemoryConnection,
  RecordingHandler,
  rawExchange,
  serve,
  type TestServer,
  turn,
} from './support.ts';

const next = 'GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n';

/** A request that must be answered with the status and whose handler must never run, nor anything hidden behind it. */
const refused: readonly (readonly [title: string, status: number, request: string])[] = [
  [
    'both lengths',
    400,
    `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${next}`,
  ],
  [
    'both lengths, the other way round',
    400,
    `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n${next}`,
  ],
  [
    'two different lengths',
    400,
    `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\ncontent-length: 35\r\n\r\n${next}`,
  ],
  ['the same length twice', 400, `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n${next}`],
  ['a list of lengths', 400, `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0, 0\r\n\r\n${next}`],
  ['a signed length', 400, `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +0\r\n\r\n${next}`],
  ['a negative length', 400, `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n${next}`],
  ['a hexadecimal length', 400, `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0x10\r\n\r\n${next}`],
  ['an underscored length', 400, `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1_0\r\n\r\n${next}`],
  ['an exponent as length', 400, `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1e1\r\n\r\n${next}`],
  ['a length with a space inside', 400, `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1 0\r\n\r\n${next}`],
  ['an empty length', 400, `POST / HTTP/1.1\r\nhost: a\r\ncontent-length:\r\n\r\n${next}`],
  [
    'a length beyond all numbers',
    400,
    `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n${next}`,
  ],
  ['an unknown coding', 501, `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: zip\r\n\r\n${next}`],
  [
    'a coding we do not decode before chunked',
    501,
    `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n${next}`,
  ],
  ['almost chunked', 501, `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n${next}`],
  [
    'chunked that is not last',
    400,
    `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n${next}`,
  ],
  ['chunked twice', 400, `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n${next}`],
  [
    'two transfer-encodings',
    400,
    `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${next}`,
  ],
  [
    'a second coding that hides',
    400,
    `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: x\r\n\r\n0\r\n\r\n${next}`,
  ],
  ['chunked in quotes', 400, `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: "chunked"\r\n\r\n0\r\n\r\n${next}`],
  [
    'chunked behind a vertical tab',
    400,
    `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n${next}`,
  ],
  ['chunked with a NUL', 400, `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\0\r\n\r\n0\r\n\r\n${next}`],
  [
    'chunked with a comma in front',
    400,
    `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: ,chunked\r\n\r\n0\r\n\r\n${next}`,
  ],
  ['an empty coding', 400, `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\r\n\r\n${next}`],
  ['chunked from HTTP/1.0', 400, `POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${next}`],
  ['a space before the colon', 400, `POST / HTTP/1.1\r\nhost: a\r\ncontent-length : 35\r\n\r\n${next}`],
  ['a tab before the colon', 400, `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding\t: chunked\r\n\r\n${next}`],
  ['a folded line', 400, `GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n content-length: 35\r\n\r\n${next}`],
  ['a first line that is folded', 400, `GET / HTTP/1.1\r\n host: a\r\n\r\n${next}`],
  ['a line without colon', 400, `GET / HTTP/1.1\r\nhost: a\r\nnonsense\r\n\r\n${next}`],
  ['a nameless field', 400, `GET / HTTP/1.1\r\nhost: a\r\n: value\r\n\r\n${next}`],
  ['a bare LF between lines', 400, `GET / HTTP/1.1\nhost: a\r\n\r\n${next}`],
  ['a bare LF inside a value', 400, `GET / HTTP/1.1\r\nhost: a\r\nx: 1\ncontent-length: 35\r\n\r\n${next}`],
  ['bare LFs that end the head', 400, `GET / HTTP/1.1\nhost: a\n\n${next}`],
  ['bare LFs and nothing behind', 400, 'GET / HTTP/1.1\nhost: a\n\n'],
  ['a bare CR inside a value', 400, `GET / HTTP/1.1\r\nhost: a\r\nx: 1\rcontent-length: 35\r\n\r\n${next}`],
  ['a head ended by CR LF CR X', 400, `GET / HTTP/1.1\r\nhost: a\r\n\rXcontent-length: 35\r\n\r\n${next}`],
  ['a NUL in a name', 400, `GET / HTTP/1.1\r\nhost: a\r\nx\0y: 1\r\n\r\n${next}`],
  ['a NUL in a value', 400, `GET / HTTP/1.1\r\nhost: a\r\nx: 1\0\r\n\r\n${next}`],
  ['a control byte in a value', 400, `GET / HTTP/1.1\r\nhost: a\r\nx: \x01\r\n\r\n${next}`],
  ['a DEL in a value', 400, `GET / HTTP/1.1\r\nhost: a\r\nx: \x7f\r\n\r\n${next}`],
  ['a name beyond ASCII', 400, `GET / HTTP/1.1\r\nhost: a\r\ncontent-length\xa0: 35\r\n\r\n${next}`],
  ['a name with a bracket', 400, `GET / HTTP/1.1\r\nhost: a\r\nx[1]: 1\r\n\r\n${next}`],
  ['two hosts', 400, `GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n${next}`],
  ['the same host twice', 400, `GET / HTTP/1.1\r\nhost: a\r\nHost: a\r\n\r\n${next}`],
  ['no host', 400, `GET / HTTP/1.1\r\n\r\n${next}`],
  ['an empty host', 400, `GET / HTTP/1.1\r\nhost:\r\n\r\n${next}`],
  ['no host beside an absolute target', 400, `GET http://a/ HTTP/1.1\r\n\r\n${next}`],
  ['a host with user information', 400, `GET / HTTP/1.1\r\nhost: admin@a\r\n\r\n${next}`],
  ['a host with a path', 400, `GET / HTTP/1.1\r\nhost: a/b\r\n\r\n${next}`],
  ['a host list', 400, `GET / HTTP/1.1\r\nhost: a,b\r\n\r\n${next}`],
  ['a host with a port that is none', 400, `GET / HTTP/1.1\r\nhost: a:99999\r\n\r\n${next}`],
  ['a host with a wordy port', 400, `GET / HTTP/1.1\r\nhost: a:http\r\n\r\n${next}`],
  ['a host beyond ASCII', 400, `GET / HTTP/1.1\r\nhost: \xe4\r\n\r\n${next}`],
  ['a target with user information', 400, `GET http://admin@a/ HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['a target without authority', 400, `GET http:///x HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['a target of another scheme', 400, `GET file:///etc/passwd HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['a target with a fragment', 400, `GET /#x HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['a target with a backslash for a slash', 400, `GET \\x HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['a target with a control byte', 400, `GET /\x01 HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['a target beyond ASCII', 400, `GET /\xe4 HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['a star that is not for OPTIONS', 400, `GET * HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['a target with a space', 400, `GET /a b HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['two spaces in the request line', 400, `GET  / HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['a tab in the request line', 400, `GET\t/ HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['a space before the method', 400, ` GET / HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['a space behind the version', 400, `GET / HTTP/1.1 \r\nhost: a\r\n\r\n${next}`],
  ['a request line without version', 400, `GET /\r\nhost: a\r\n\r\n${next}`],
  ['a lower-case version', 400, `GET / http/1.1\r\nhost: a\r\n\r\n${next}`],
  ['a long version', 400, `GET / HTTP/1.10\r\nhost: a\r\n\r\n${next}`],
  ['a method that is no token', 400, `G(T / HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['two empty lines in front', 400, `\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['a bare LF in front', 400, `\nGET / HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['a connection option that is no token', 400, `GET / HTTP/1.1\r\nhost: a\r\nconnection: x y\r\n\r\n${next}`],
  ['a flood of connection options', 400, `GET / HTTP/1.1\r\nhost: a\r\nconnection: ${'x,'.repeat(20)}\r\n\r\n${next}`],
  ['CONNECT without port', 400, `CONNECT a HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['CONNECT with a path', 400, `CONNECT /x HTTP/1.1\r\nhost: a\r\n\r\n${next}`],
  ['CONNECT with a body', 400, `CONNECT a:1 HTTP/1.1\r\nhost: a\r\ncontent-length: 35\r\n\r\n${next}`],
  ['CONNECT that nobody takes', 501, `CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n${next}`],
  ['a TLS hello', 400, '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03'],
  ['the preface of HTTP/2', 505, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['HTTP/0.9', 505, `GET / HTTP/0.9\r\nhost: a\r\n\r\n${next}`],
  ['HTTP/3.0', 505, `GET / HTTP/3.0\r\nhost: a\r\n\r\n${next}`],
  ['a head that is too long', 431, `GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(70_000)}\r\n\r\n${next}`],
  ['a head too long that never ends', 431, `GET /${'x'.repeat(70_000)}`],
  ['too many fields', 431, `GET / HTTP/1.1\r\nhost: a\r\n${'x: 1\r\n'.repeat(100)}\r\n${next}`],
  ['too many fields that never end', 431, `GET / HTTP/1.1\r\nhost: a\r\n${'x: 1\r\n'.repeat(110)}`],
];

const chunkedHead = 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n';

/** Bodies that break off: the handler has seen the head, and must be told that no end comes. */
const brokenBodies: readonly (readonly [title: string, body: string])[] = [
  ['a size of no digits', '\r\n'],
  ['a size with a sign', '+5\r\nhello\r\n0\r\n\r\n'],
  ['a size with a prefix', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['a size with a space behind', '5 \r\nhello\r\n0\r\n\r\n'],
  ['a size with a space in front', ' 5\r\nhello\r\n0\r\n\r\n'],
  ['a size with an underscore', '1_0\r\nhello\r\n0\r\n\r\n'],
  ['a size that overflows', 'fffffffffffffffff\r\nhello\r\n0\r\n\r\n'],
  ['a size of endless zeros', `${'0'.repeat(100)}5\r\nhello\r\n0\r\n\r\n`],
  ['a size ended by LF', '5\nhello\r\n0\r\n\r\n'],
  ['a size ended by CR alone', '5\rhello\r\n0\r\n\r\n'],
  ['an extension with CR inside', '5;a\rb\r\nhello\r\n0\r\n\r\n'],
  ['an extension with LF inside', '5;a\nhello\r\n0\r\n\r\n'],
  ['an extension with NUL inside', '5;a\0\r\nhello\r\n0\r\n\r\n'],
  ['a flood of extensions', `5;${'x'.repeat(30_000)}\r\nhello\r\n0\r\n\r\n`],
  ['a flood of small extensions', '1;xxxxxxxxxxxxxxxx\r\nh\r\n'.repeat(2000)],
  ['data longer than its size', '5\r\nhelloworld\r\n0\r\n\r\n'],
  ['data ended by LF', '5\r\nhello\n0\r\n\r\n'],
  ['data ended by X and LF', '5\r\nhelloX\n0\r\n\r\n'],
  ['data ended by two spaces', '5\r\nhello  0\r\n\r\n'],
  ['an end with LF alone', '0\r\n\n'],
  ['an end with CR and something else', '0\r\n\rX'],
  ['a trailer that frames', '0\r\ncontent-length: 5\r\n\r\n'],
  ['a trailer that codes', '0\r\ntransfer-encoding: chunked\r\n\r\n'],
  ['a trailer that routes', '0\r\nhost: b\r\n\r\n'],
  ['a trailer ended by LF', '0\r\nx: 1\n\r\n'],
  ['a folded trailer', '0\r\nx: 1\r\n y\r\n\r\n'],
  ['a trailer with NUL', '0\r\nx: \0\r\n\r\n'],
  ['trailers without end', `0\r\nx: ${'x'.repeat(70_000)}`],
  ['too many trailers', `0\r\n${'x: 1\r\n'.repeat(101)}\r\n`],
];

describe('A server', () => {
  let server: TestServer;
  let handler: RecordingHandler;

  beforeEach(async () => {
    handler = new RecordingHandler((served) => void served.done.then(() => served.reply(200, [], 'ok')));
    server = await serve(handler);
  });

  afterEach(() => server.close());

  test.each(refused)('refuses %s with %d and closes', async (_title, status, request) => {
    const answer = await rawExchange(server.port, request);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [A-Z][^\\r]+\\r\\n`));
    expect(answer).toContain('connection: close\r\n');
    expect(answer.split('HTTP/1.1')).toHaveLength(2);
    expect(handler.served).toHaveLength(0);
  });

  test.each(refused)('refuses %s with %d, byte by byte as well', async (_title, status, request) => {
    const connection = new MemoryConnection();
    createHttp1Server(connection, handler, { limits: limits(), clock: systemClock, scheme: 'http' });
    // Whole kilobytes of filler need not come one by one.
    for (const part of request.match(/x{1000}|./gs) ?? []) connection.receive(part);
    await turn();
    expect(connection.written).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(connection.ended).toBe(true);
    expect(handler.served).toHaveLength(0);
  });

  test.each(brokenBodies)('gives up a body with %s', async (_title, body) => {
    const answer = await rawExchange(server.port, `${chunkedHead}${body}${next}`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(answer.split('HTTP/1.1')).toHaveLength(2);
    expect(handler.served).toHaveLength(1);
    expect(handler.served[0]).toMatchObject({ ended: false, reset: 'protocol' });
  });

  test('takes names that mean something to JavaScript as plain names', async () => {
    const fields = ['__proto__', 'x', 'constructor', 'y', 'toString', 'z', 'hasownproperty', '1'];
    const lines = fields.map((each, i) => (i % 2 === 0 ? `${each}: ` : `${each}\r\n`)).join('');
    await rawExchange(server.port, `GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${lines}\r\n`);
    expect(handler.served[0].head.headers).toEqual(fields.map((each) => each.toLowerCase()));
  });

  test('accepts extensions as long as they do not outweigh the body', async () => {
    const chunk = `400;signature=${'f'.repeat(64)}\r\n${'x'.repeat(1024)}\r\n`;
    await rawExchange(
      server.port,
      `${chunkedHead.replace('a\r\n', 'a\r\nconnection: close\r\n')}${chunk.repeat(300)}0\r\n\r\n`,
      true,
    );
    expect(handler.served[0]).toMatchObject({ ended: true, reset: undefined });
    expect(handler.served[0].body).toHaveLength(300 * 1024);
  });
});

const brokenResponses: readonly (readonly [title: string, response: string])[] = [
  ['both lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\n'],
  ['a length that is no number', 'HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello'],
  ['an unknown coding', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n'],
  ['chunked from HTTP/1.0', 'HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['a bare LF', 'HTTP/1.1 200 OK\nx: 1\r\n\r\n'],
  ['a NUL', 'HTTP/1.1 200 OK\r\nx: \0\r\n\r\n'],
  ['a NUL in the reason', 'HTTP/1.1 200 O\0K\r\n\r\n'],
  ['a folded line', 'HTTP/1.1 200 OK\r\nx: 1\r\n y\r\n\r\n'],
  ['a space before the colon', 'HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['a status that is none', 'HTTP/1.1 099 OK\r\n\r\n'],
  ['another protocol', 'SSH-2.0-OpenSSH\r\n\r\n'],
  ['HTTP/2.0', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['an empty line in front', '\r\nHTTP/1.1 200 OK\r\n\r\n'],
  ['a head that never ends', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(70_000)}`],
  ['too many fields', `HTTP/1.1 200 OK\r\n${'x: 1\r\n'.repeat(101)}\r\n`],
  ['a switch of protocols', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ['a flood of interim responses', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(40)],
  ['a chunk size that is junk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'],
  ['a chunk that is too long', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nhello\r\n'],
];

describe('A client', () => {
  test.each(brokenResponses)('gives up on %s', async (_title, response) => {
    const connection = new MemoryConnection();
    let retired = 0;
    const owner = { onCapacity() {}, onRetire: () => retired++ };
    const client = createHttp1Client(connection, owner, { limits: limits(), clock: systemClock });
    const fetched = new Fetched();
    client.request({ method: 'GET', scheme: 'http', authority: 'a', path: '/', headers: [] }, true, fetched);
    await turn();
    connection.receive(response);
    expect(fetched).toMatchObject({ reset: 'protocol', ended: false });
    expect(connection.destroyed).toBe(true);
    expect(retired).toBe(1);
    expect(client.capacity).toBe(0);
  });
});
