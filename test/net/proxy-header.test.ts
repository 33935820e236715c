import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseProxyHeader } from '../../runtime/net/index.ts';
import { proxied, proxyHeader } from '../support/proxy-header.ts';

const addresses = fc.oneof(fc.ipV4(), fc.constantFrom('2001:db8::7', '::1', 'fe80::1:2', '2001:db8:1:2:3:4:5:6'));

describe('a PROXY header', () => {
  it('names the client, and says where it ends, whatever follows and however it is cut', () => {
    fc.assert(
      fc.property(
        addresses,
        fc.integer({ min: 1, max: 65_535 }),
        fc.uint8Array({ maxLength: 300 }),
        fc.uint8Array({ maxLength: 50 }),
        (host, port, more, rest) => {
          const header = proxied(host, port, Buffer.from(more));
          const told = { length: header.length, client: `${host}:${port}` };
          expect(parseProxyHeader(Buffer.concat([header, rest]))).toEqual(told);
          for (let end = 0; end < header.length; end++)
            expect(parseProxyHeader(header.subarray(0, end))).toBe('incomplete');
        },
      ),
      { numRuns: 30 },
    );
  });

  it('of IPv4 in IPv6 names the client as IPv4', () => {
    const mapped = Buffer.from('00000000000000000000ffff0a000007', 'hex');
    const content = Buffer.concat([mapped, mapped, Buffer.from([0, 80, 0, 80])]);
    expect(parseProxyHeader(proxyHeader(0x21, 0x21, content))).toMatchObject({ client: '10.0.0.7:80' });
  });

  it.each([
    ['of a health check of the proxy itself', 0x20, 0x00, 0],
    ['of a health check, with addresses that are to be ignored', 0x20, 0x11, 12],
    ['of an unknown family', 0x21, 0x00, 0],
    ['of a unix socket', 0x21, 0x31, 216],
  ])('%s names no client', (_what, command, family, length) => {
    expect(parseProxyHeader(proxyHeader(command, family, Buffer.alloc(length)))).toEqual({ length: 16 + length });
  });

  it.each([
    ['of version 1', Buffer.from('PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n')],
    ['that is a request', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['of version 3', proxyHeader(0x31, 0x11, Buffer.alloc(12))],
    ['with another command', proxyHeader(0x22, 0x11, Buffer.alloc(12))],
    ['of datagrams', proxyHeader(0x21, 0x12, Buffer.alloc(12))],
    ['of another family', proxyHeader(0x21, 0x41, Buffer.alloc(12))],
    ['too short for its addresses', proxyHeader(0x21, 0x11, Buffer.alloc(11))],
    ['too short for its IPv6 addresses', proxyHeader(0x21, 0x21, Buffer.alloc(35))],
    ['longer than any', proxyHeader(0x21, 0x11, Buffer.alloc(5000))],
  ])('%s is refused', (_what, bytes) => {
    expect(parseProxyHeader(bytes)).toBeUndefined();
  });

  it('that is too long is refused before its bytes are there', () => {
    expect(parseProxyHeader(proxyHeader(0x21, 0x11, Buffer.alloc(5000)).subarray(0, 16))).toBeUndefined();
  });

  it('that is anything is read or refused, never an error, and never asks for more than 4112 bytes', () => {
    const spoilt = fc
      .tuple(fc.nat(255), fc.nat(255), fc.nat(65_535), fc.uint8Array({ maxLength: 64 }))
      .map(([command, family, length, content]) => {
        const bytes = proxyHeader(command, family, Buffer.from(content));
        bytes.writeUInt16BE(length, 14);
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(spoilt, fc.uint8Array({ maxLength: 64 }).map(Buffer.from)), (bytes) => {
        const header = parseProxyHeader(bytes);
        if (typeof header === 'object') expect(header.length).toBeLessThanOrEqual(bytes.length);
        if (header !== 'incomplete' || bytes.length < 16) return;
        expect(parseProxyHeader(Buffer.concat([bytes, Buffer.alloc(4112)]))).not.toBe('incomplete');
      }),
      { numRuns: 2000 },
    );
  });
});
