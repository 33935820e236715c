import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import type { HeaderList, RequestHead } from '../../runtime/net/index.ts';
import { Call, isGrpc, statusFields, statusOfReply, statusOfTrailers } from '../../runtime/proxy/grpc.ts';

function headOf(headers: HeaderList, method = 'POST'): RequestHead {
  return { method, scheme: 'http', authority: 'a', path: '/s/m', headers };
}

function callOf(timeout: string): { call: Call; headers: HeaderList } {
  const headers = ['content-type', 'application/grpc', 'grpc-timeout', timeout];
  return { call: Call.of(headOf(headers))!, headers };
}

describe('a call of gRPC', () => {
  it.each([
    ['application/grpc', true],
    ['application/grpc+proto', true],
    ['application/grpc;charset=utf-8', true],
    ['APPLICATION/GRPC+json', true],
    ['application/grpc-web', false],
    ['application/grpc-web+proto', false],
    ['application/json', false],
    ['x/application/grpc', false],
  ])('is known by its content type: %s', (type, expected) => {
    expect(isGrpc(headOf(['accept', 'application/grpc', 'content-type', type]))).toBe(expected);
    expect(isGrpc(headOf(['content-type', type], 'GET'))).toBe(false);
  });

  it.each([
    ['3H', 10_800_000],
    ['2M', 120_000],
    ['5S', 5000],
    ['250m', 250],
    ['1500u', 1.5],
    ['99999999n', 99.999999],
    ['0S', 0],
  ])('waits as long as %s says', (timeout, milliseconds) => {
    expect(callOf(timeout).call.timeout).toBeCloseTo(milliseconds, 9);
  });

  it.each(['', '5', 'S', '5s', '-5S', '5.5S', ' 5S', '123456789m', '5S,6S', '1e3m'])(
    'has no deadline, and passes on what it was told, where that is %j',
    (timeout) => {
      const { call, headers } = callOf(timeout);
      expect(call.timeout).toBeUndefined();
      call.passOn(1000);
      expect(headers[3]).toBe(timeout);
    },
  );

  it.each([
    [-5, '0u'],
    [0.0004, '0u'],
    [12.3456, '12345u'],
    [99_999.999, '99999999u'],
    [100_000, '100000m'],
    [100_000_000, '100000S'],
    [99_999_999_000, '99999999S'],
    [99_999_999_000_000, '27777777H'],
    [1e300, '99999999H'],
  ])('with %d ms left tells the next hop %s', (left, expected) => {
    const { call, headers } = callOf('1H');
    call.passOn(left);
    expect(headers).toEqual(['content-type', 'application/grpc', 'grpc-timeout', expected]);
  });

  test('never tells the next hop more than is left, nor much less', () => {
    fc.assert(
      fc.property(fc.double({ min: 1, max: 1e11, noNaN: true }), (left) => {
        const { call, headers } = callOf('1S');
        call.passOn(left);
        const told = callOf(headers[3]).call.timeout!;
        expect(told).toBeLessThanOrEqual(left);
        expect(told).toBeGreaterThan(left * 0.999 - 0.001);
      }),
    );
  });
});

describe('the status of a call', () => {
  it.each([
    [400, 'http_request_error', 'INTERNAL'],
    [401, 'http_request_denied', 'UNAUTHENTICATED'],
    [403, 'http_request_denied', 'PERMISSION_DENIED'],
    [404, 'destination_not_found', 'UNIMPLEMENTED'],
    [429, 'http_request_denied', 'RESOURCE_EXHAUSTED'],
    [500, 'destination_not_found', 'UNKNOWN'],
    [502, 'connection_terminated', 'UNAVAILABLE'],
    [503, 'destination_unavailable', 'UNAVAILABLE'],
    [504, 'connection_timeout', 'UNAVAILABLE'],
    [504, 'http_response_timeout', 'DEADLINE_EXCEEDED'],
  ] as const)('for %d (%s) of the proxy is %s', (status, error, expected) => {
    expect(statusOfReply({ status, error })).toBe(expected);
  });

  it.each([
    [['grpc-status', '0'], 200, 'OK'],
    [['x', 'y', 'grpc-status', '14'], 200, 'UNAVAILABLE'],
    [['grpc-status', '16'], 503, 'UNAUTHENTICATED'],
    [['grpc-status', '17'], 200, 'UNKNOWN'],
    [['grpc-status', 'constructor'], 200, 'UNKNOWN'],
    [[], 200, 'UNKNOWN'],
    [undefined, 200, 'UNKNOWN'],
    [undefined, 404, 'UNIMPLEMENTED'],
    [undefined, 429, 'UNAVAILABLE'],
    [undefined, 503, 'UNAVAILABLE'],
    [undefined, 500, 'UNKNOWN'],
  ])('with trailers %j behind %d is %s', (fields, httpStatus, expected) => {
    expect(statusOfTrailers(fields, httpStatus)).toBe(expected);
  });

  test.each(['', ' 5', '+5', '-1', '0x5', '5e0', '005', '17', '99999999999', 'NOT_FOUND', 'length', '__proto__'])(
    'that says %j says nothing that is known',
    (status) => {
      expect(statusOfTrailers(['grpc-status', status], 200)).toBe('UNKNOWN');
    },
  );

  test('is told with any message in printable ASCII that decodes to it', () => {
    expect(statusFields('NOT_FOUND', '100 % "ä"\n')).toEqual([
      ...['grpc-status', '5', 'grpc-message', '100 %25 "%C3%A4"%0A'],
    ]);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (message) => {
        const [, , , encoded] = statusFields('INTERNAL', message);
        expect(encoded).toMatch(/^[\x20-\x7e]*$/);
        expect(decodeURIComponent(encoded)).toBe(message);
      }),
    );
  });
});
