import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  decodeStatusMessage,
  encodeStatusMessage,
  grpcStatusCodes,
  parseCallStatus,
} from '../../runtime/model/index.ts';

describe('a message of a status', () => {
  it('is printable ASCII as it is sent, and the same again where it is read', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary-ascii' })), (message) => {
        const encoded = encodeStatusMessage(message);
        expect(encoded).toMatch(/^[ -~]*$/);
        expect(decodeStatusMessage(encoded)).toBe(message);
      }),
    );
  });

  it('is encoded no further than need be', () => {
    expect(encodeStatusMessage('100 % "ä"\n~\x7f😀')).toBe('100 %25 "%C3%A4"%0A~%7F%F0%9F%98%80');
  });

  it('has a mark in the place of half a character', () => {
    expect(encodeStatusMessage('a\ud800b')).toBe('a%EF%BF%BDb');
  });

  it.each(['100 %', '%zz', '%ff'])('stays as it is where it is not encoded: %s', (text) => {
    expect(decodeStatusMessage(text)).toBe(text);
  });
});

describe('the status of a call', () => {
  it('is known by its code', () => {
    for (const [name, code] of Object.entries({ OK: 0, ...grpcStatusCodes })) {
      expect(parseCallStatus(String(code))).toBe(name);
    }
  });

  it.each([undefined, '', '17', '99', '-1', '1.5', '100', 'OK', 'length'])('is unknown where %j is said', (code) => {
    expect(parseCallStatus(code)).toBe('UNKNOWN');
  });
});
