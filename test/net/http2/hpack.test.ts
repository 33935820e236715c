import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { HpackDecoder } from '../../../runtime/net/http2/hpack/decoder.ts';
import { HpackEncoder } from '../../../runtime/net/http2/hpack/encoder.ts';

const limits = { tableSize: 16_384, maxListSize: 60_000, maxFields: 100 };

function decode(decoder: HpackDecoder, hex: string): string[] {
  const block = Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
  return decoder.decode(block, 0, block.length);
}

function encode(encoder: HpackEncoder, fields: string[]): Buffer {
  const target = Buffer.alloc(HpackEncoder.bound([], fields));
  return target.subarray(0, encoder.encode(target, 0, [], fields));
}

describe('the examples of RFC 7541 appendix C', () => {
  const request1 = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'];
  const request2 = [...request1, 'cache-control', 'no-cache'];
  const request3 = [
    ...[':method', 'GET', ':scheme', 'https', ':path', '/index.html', ':authority', 'www.example.com'],
    ...['custom-key', 'custom-value'],
  ];
  const date = 'Mon, 21 Oct 2013 20:13:21 GMT';
  const location = ['location', 'https://www.example.com'];
  const response1 = [':status', '302', 'cache-control', 'private', 'date', date, ...location];
  const response2 = [':status', '307', 'cache-control', 'private', 'date', date, ...location];
  const response3 = [
    ...[':status', '200', 'cache-control', 'private', 'date', 'Mon, 21 Oct 2013 20:13:22 GMT', ...location],
    ...['content-encoding', 'gzip', 'set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
  ];

  test.each([
    [
      'C.2.1, a literal with indexing',
      '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
      ['custom-key', 'custom-header'],
    ],
    ['C.2.2, a literal without indexing', '040c 2f73 616d 706c 652f 7061 7468', [':path', '/sample/path']],
    ['C.2.3, a literal never indexed', '1008 7061 7373 776f 7264 0673 6563 7265 74', ['password', 'secret']],
    ['C.2.4, an indexed field', '82', [':method', 'GET']],
  ])('decode %s', (_name, hex, fields) => {
    expect(decode(new HpackDecoder(limits), hex)).toEqual(fields);
  });

  test('decode requests without Huffman coding on one connection (C.3)', () => {
    const decoder = new HpackDecoder(limits);
    expect(decode(decoder, '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d')).toEqual(request1);
    expect(decode(decoder, '8286 84be 5808 6e6f 2d63 6163 6865')).toEqual(request2);
    expect(decode(decoder, '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65')).toEqual(
      request3,
    );
  });

  test('decode requests with Huffman coding on one connection (C.4)', () => {
    const decoder = new HpackDecoder(limits);
    expect(decode(decoder, '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff')).toEqual(request1);
    expect(decode(decoder, '8286 84be 5886 a8eb 1064 9cbf')).toEqual(request2);
    expect(decode(decoder, '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf')).toEqual(request3);
  });

  test('decode responses with a table of 256 bytes that evicts, without Huffman coding (C.5)', () => {
    const decoder = new HpackDecoder(limits);
    const first = `3fe1 01
      4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
      2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`;
    expect(decode(decoder, first)).toEqual(response1);
    expect(decode(decoder, '4803 3330 37c1 c0bf')).toEqual(response2);
    const third = `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
      54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745
      4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`;
    expect(decode(decoder, third)).toEqual(response3);
  });

  test('decode responses with a table of 256 bytes that evicts, with Huffman coding (C.6)', () => {
    const decoder = new HpackDecoder(limits);
    const first = `3fe1 01
      4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
      2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`;
    expect(decode(decoder, first)).toEqual(response1);
    expect(decode(decoder, '4883 640e ffc1 c0bf')).toEqual(response2);
    const third = `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
      77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0
      03ed 4ee5 b106 3d50 07`;
    expect(decode(decoder, third)).toEqual(response3);
  });
});

describe('the decoder', () => {
  test.each([
    ['an index beyond the tables', 'be'],
    ['index 0', '80'],
    ['an integer without end', 'ffffffffffffffffff'],
    ['a string longer than the block', '00 0a 61'],
    ['a block that ends inside a field', '40'],
    ['a size update over the limit', '3fff ff03'],
    ['a size update after a field', '82 20'],
    ['Huffman padding of zeros', '00 01 61 81 00'],
    ['Huffman padding of more than 7 bits', '00 01 61 82 1f ff'],
    ['the Huffman symbol for the end', '00 01 61 84 ff ff ff ff'],
  ])('refuses %s', (_name, hex) => {
    expect(() => decode(new HpackDecoder(limits), hex)).toThrow(expect.objectContaining({ code: 9 }));
  });

  test.each([
    ['an upper-case name', 'X-Test', '1'],
    ['an empty name', '', '1'],
    ['a name with a space', 'x test', '1'],
    ['a line break in a value', 'x-test', 'a\r\nhost: evil'],
    ['a bare line feed in a value', 'x-test', 'a\nb'],
    ['a NUL in a value', 'x-test', 'a\0b'],
    ['a space around a value', 'x-test', ' a'],
  ])('marks %s as malformed, at every use', (_case, name, value) => {
    const decoder = new HpackDecoder(limits);
    const literal = Buffer.concat([
      Buffer.from([0x40, name.length]),
      Buffer.from(name, 'latin1'),
      Buffer.from([value.length]),
      Buffer.from(value, 'latin1'),
    ]);
    decoder.decode(literal, 0, literal.length);
    expect(decoder.malformed).toBe(true);
    decode(decoder, '82');
    expect(decoder.malformed).toBe(false);
    decode(decoder, 'be');
    expect(decoder.malformed).toBe(true);
  });

  test('keeps no more of a bomb than the limit, and its table stays in step', () => {
    const decoder = new HpackDecoder(limits);
    const bomb = new HpackEncoder(16_384);
    const field = ['x-bomb', 'a'.repeat(900)];
    const first = encode(bomb, field);
    decoder.decode(first, 0, first.length);
    const many = Buffer.concat([Buffer.alloc(50_000, 0xbe), encode(bomb, ['x-after', 'b'])]);
    const kept = decoder.decode(many, 0, many.length);
    expect(decoder.overflow).toBe(true);
    expect(kept.join('').length).toBeLessThanOrEqual(limits.maxListSize);
    expect(decode(decoder, 'be')).toEqual(['x-after', 'b']);
    expect(decoder.overflow).toBe(false);
  });

  test('counts fields', () => {
    const decoder = new HpackDecoder({ ...limits, maxFields: 3 });
    decode(decoder, '82 82 82');
    expect(decoder.overflow).toBe(false);
    decode(decoder, '82 82 82 82');
    expect(decoder.overflow).toBe(true);
  });
});

describe('the encoder', () => {
  test('refers to no field that was evicted', () => {
    const encoder = new HpackEncoder(16_384);
    const decoder = new HpackDecoder(limits);
    const lists = [
      ['user-agent', 'curl/8'],
      ...Array.from({ length: 300 }, (_, i) => [`x-${i}`, 'v']),
      ['user-agent', 'curl/8'],
    ];
    for (const fields of lists) {
      const block = encode(encoder, fields);
      expect(decoder.decode(block, 0, block.length)).toEqual(fields);
    }
  });

  test('sends a repeated field as one byte', () => {
    const encoder = new HpackEncoder(16_384);
    encode(encoder, ['user-agent', 'curl/8', 'x-team', 'shop']);
    expect(encode(encoder, ['user-agent', 'curl/8', 'x-team', 'shop'])).toHaveLength(2);
  });

  test('keeps the table free of values that do not repeat', () => {
    const encoder = new HpackEncoder(16_384);
    encode(encoder, ['x-team', 'shop']);
    for (let i = 0; i < 10_000; i++) encode(encoder, [':path', `/${i}`, 'x-request-id', `${i}`, 'x-custom-id', `${i}`]);
    expect(encode(encoder, ['x-team', 'shop'])).toHaveLength(1);
  });

  test('never lets a secret into a table', () => {
    const encoder = new HpackEncoder(16_384);
    for (const name of ['authorization', 'cookie', 'set-cookie', 'proxy-authorization']) {
      const first = encode(encoder, [name, 'secret']);
      expect(first[0] & 0xf0).toBe(0x10);
      expect(encode(encoder, [name, 'secret'])).toEqual(first);
    }
  });

  test('leaves out what HTTP/2 does not have', () => {
    const fields = [
      'connection',
      'close',
      'keep-alive',
      '5',
      'transfer-encoding',
      'chunked',
      'host',
      'a',
      'upgrade',
      'x',
    ];
    expect(encode(new HpackEncoder(4096), fields)).toHaveLength(0);
  });

  test('announces the smallest and the last size when the peer changed it twice', () => {
    const encoder = new HpackEncoder(16_384);
    encode(encoder, ['x-team', 'shop']);
    encoder.setMaxSize(0);
    encoder.setMaxSize(8192);
    const decoder = new HpackDecoder(limits);
    const block = encode(encoder, ['x-team', 'shop']);
    expect(block.subarray(0, 2)).toEqual(Buffer.from([0x20, 0x3f]));
    expect(decoder.decode(block, 0, block.length)).toEqual(['x-team', 'shop']);
  });
});

test('what one side encodes the other decodes, whatever repeats, gets evicted or changes size', () => {
  const name = fc.oneof(
    fc.constantFrom('user-agent', 'x-a', 'x-b', 'cookie', ':path', 'content-length', ':status', 'accept-encoding'),
    fc.stringMatching(/^[a-z][a-z0-9-]{0,40}$/),
  );
  const value = fc.oneof(
    fc.constantFrom('', '200', 'gzip, deflate', '/', 'x'.repeat(300)),
    fc.stringMatching(/^[!-~\xa0-\xff]{0,200}$/),
  );
  const omitted = new Set(['connection', 'host', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);
  const list = fc.array(
    fc.tuple(name, value).filter(([text]) => !omitted.has(text)),
    { maxLength: 20 },
  );
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ list }) },
    { weight: 1, arbitrary: fc.record({ size: fc.constantFrom(0, 64, 100, 500, 4096, 100_000) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const encoder = new HpackEncoder(16_384);
      const decoder = new HpackDecoder(limits);
      for (const step of steps) {
        if ('size' in step) {
          encoder.setMaxSize(step.size);
          continue;
        }
        const fields = step.list.flat();
        const block = encode(encoder, fields);
        expect(decoder.decode(block, 0, block.length)).toEqual(fields);
        expect(decoder.malformed).toBe(false);
      }
    }),
  );
});
