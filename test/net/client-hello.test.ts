import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { beginsWithTls, parseClientHello } from '../../runtime/net/index.ts';

/** What Node's own client says first. */
async function helloOf(options: ConnectionOptions): Promise<Buffer> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', ...options });
  client.on('error', () => {});
  const [socket] = await once(server, 'connection');
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

/** The same message in records of these sizes. */
function inRecords(hello: Buffer, sizes: readonly number[]): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0, index = 0; at < message.length; index++) {
    const part = message.subarray(at, at + (sizes[index] ?? message.length));
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
    at += part.length;
  }
  return Buffer.concat(records);
}

const told = { protocols: ['meshwright-tcp', 'h2'], serverName: 'reviews.shop' };
let withAlpn: Buffer;
beforeAll(async () => {
  withAlpn = await helloOf({ ALPNProtocols: ['meshwright-tcp', 'h2'], servername: 'reviews.shop' });
});

/** A ClientHello of nothing but one extension of server names. */
function naming(names: Buffer): Buffer {
  const extension = Buffer.concat([Buffer.from([0, 0, names.length >> 8, names.length & 255]), names]);
  const head = [3, 3, ...Buffer.alloc(32), 0, 0, 2, 19, 1, 1, 0, extension.length >> 8, extension.length & 255];
  const body = Buffer.concat([Buffer.from(head), extension]);
  const message = Buffer.concat([Buffer.from([1, 0, body.length >> 8, body.length & 255]), body]);
  return Buffer.concat([Buffer.from([22, 3, 1, message.length >> 8, message.length & 255]), message]);
}

describe('a ClientHello', () => {
  it('names the server that is meant, in lower case, or none', async () => {
    expect(parseClientHello(await helloOf({ servername: 'DB.Example' }))).toMatchObject({ serverName: 'db.example' });
    expect(parseClientHello(await helloOf({}))).not.toHaveProperty('serverName');
    const name = Buffer.from('\0\x05\0\0\x02Ab', 'latin1');
    expect(parseClientHello(naming(name))).toEqual({ protocols: [], serverName: 'ab' });
    const otherType = Buffer.from('\0\x05\x01\0\x02Ab', 'latin1');
    expect(parseClientHello(naming(otherType))).toEqual({ protocols: [] });
    expect(parseClientHello(naming(Buffer.from('\0\0', 'latin1')))).toEqual({ protocols: [] });
    expect(parseClientHello(naming(Buffer.from('\0\x05\0\xff\xffAb', 'latin1')))).toBeUndefined();
  });

  it('never asks for more than one can be long', () => {
    const endless = Buffer.concat([
      Buffer.from([22, 3, 1, 64, 0, 1, 0, 63, 255]),
      Buffer.alloc(16_000),
      Buffer.from([22, 3, 1, 64, 0]),
      Buffer.alloc(40_000),
    ]);
    const limit = 16_384 + 4 + 16 * 5;
    expect(parseClientHello(endless.subarray(0, limit + 1))).not.toBe('incomplete');
  });

  it('tells the protocols that are offered', async () => {
    expect(parseClientHello(withAlpn)).toEqual(told);
    expect(parseClientHello(await helloOf({}))).toEqual({ protocols: [] });
    expect(parseClientHello(await helloOf({ maxVersion: 'TLSv1.2', ALPNProtocols: ['http/1.1'] }))).toEqual({
      protocols: ['http/1.1'],
    });
  });

  it('is complete with its last byte, and what follows changes nothing', () => {
    for (let length = 0; length < withAlpn.length; length++) {
      expect(parseClientHello(withAlpn.subarray(0, length))).toBe('incomplete');
    }
    expect(parseClientHello(Buffer.concat([withAlpn, Buffer.from('more')]))).toEqual(parseClientHello(withAlpn));
  });

  it('may come in several records', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 15 }), fc.nat(), (sizes, cut) => {
        const records = inRecords(withAlpn, sizes);
        expect(parseClientHello(records)).toEqual(told);
        expect(parseClientHello(records.subarray(0, cut % records.length))).toBe('incomplete');
      }),
    );
  });

  it('in more records than any client makes is none', () => {
    expect(parseClientHello(inRecords(withAlpn, Array(100).fill(1)))).toBeUndefined();
  });

  it('is not what begins with something else, or is larger than any', () => {
    expect(parseClientHello(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toBeUndefined();
    expect(parseClientHello(Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0]))).toBeUndefined();
    expect(parseClientHello(Buffer.from([22, 3, 1, 0, 4, 1, 255, 0, 0]))).toBeUndefined();
    expect(parseClientHello(Buffer.from([22, 2, 1, 0, 4]))).toBeUndefined();
    // A record that is longer than any may be, before anything of it is there.
    expect(parseClientHello(Buffer.from([22, 3, 1, 64, 0]))).toBe('incomplete');
    expect(parseClientHello(Buffer.from([22, 3, 1, 64, 1]))).toBeUndefined();
    expect([withAlpn, Buffer.from('GET /'), Buffer.alloc(0)].map(beginsWithTls)).toEqual([true, false, false]);
  });

  it('that is spoilt is refused or read, and never an error', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 }), (changes) => {
        const spoilt = Buffer.from(withAlpn);
        for (const [at, byte] of changes) spoilt[at % spoilt.length] = byte;
        const hello = parseClientHello(spoilt);
        expect(hello === undefined || hello === 'incomplete' || Array.isArray(hello.protocols)).toBe(true);
      }),
      { numRuns: 2000 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void parseClientHello(Buffer.from(bytes))));
  });
});
