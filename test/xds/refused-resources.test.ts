import { create } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeRefused, encodeRefused } from '../../runtime/xds/refused-resources.ts';

test('what was refused arrives with its reasons, and of very many with its names', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.string(), { maxKeys: 20 }), (refused) => {
      const sent = new Map(Object.entries(refused));
      expect(decodeRefused('service', encodeRefused('service', sent))).toEqual(sent);
    }),
  );
  const many = new Map(Array.from({ length: 5000 }, (_, index) => [`shop/${index}`, 'x'.repeat(10_000)]));
  const details = encodeRefused('endpoints', many);
  expect(details.reduce((size, { value }) => size + value.length, 0)).toBeLessThan(1 << 20);
  expect([...decodeRefused('endpoints', details).keys()]).toEqual([...many.keys()]);
});

test('details of other kinds of resources, and other details, say nothing', () => {
  const other = create(AnySchema, { typeUrl: 'type.googleapis.com/google.rpc.RetryInfo', value: new Uint8Array([1]) });
  expect(decodeRefused('service', [other, ...encodeRefused('gateway', new Map([['a', 'b']]))]).size).toBe(0);
});
