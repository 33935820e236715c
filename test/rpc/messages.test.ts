import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type ResourceKind, resourceKinds } from '../../runtime/model/index.ts';
import { ProtobufWriter, readFields } from '../../runtime/rpc/index.ts';
import { frameMessage, MessageReader } from '../../runtime/rpc/message-reader.ts';
import { decodeDeltaResponse, encodeDeltaRequest } from '../../runtime/xds/delta-messages.ts';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from '../../runtime/xds/gen/envoy/service/discovery/v3/discovery_pb.js';
import { ResourceInfoSchema } from '../../runtime/xds/gen/google/rpc/error_details_pb.js';
import { file_meshwright_v1_resources } from '../../runtime/xds/gen/meshwright/v1/resources_pb.js';
import { encodeRefused } from '../../runtime/xds/refused-resources.ts';
import { typeUrl } from '../../runtime/xds/resource-types.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 300 });
const word = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
const names = fc.array(text, { maxLength: 5 });

describe('messages by hand are those that are generated from the schemas', () => {
  test('requests of delta ADS', () => {
    const details = fc.array(fc.record({ typeUrl: text, value: fc.uint8Array({ maxLength: 50 }) }), { maxLength: 3 });
    const request = fc.record({
      node: fc.option(
        fc.record({ id: text, metadata: fc.dictionary(word, text, { noNullPrototype: true }), userAgentName: text }),
        { nil: undefined },
      ),
      typeUrl: text,
      resourceNamesSubscribe: names,
      resourceNamesUnsubscribe: names,
      initialResourceVersions: fc.dictionary(word, text, { noNullPrototype: true }),
      responseNonce: text,
      errorDetail: fc.option(fc.record({ code: fc.nat(), message: text, details }), { nil: undefined }),
    });
    fc.assert(
      fc.property(request, (given) => {
        const read = fromBinary(DeltaDiscoveryRequestSchema, encodeDeltaRequest(given));
        const made = create(DeltaDiscoveryRequestSchema, given);
        expect(Buffer.from(toBinary(DeltaDiscoveryRequestSchema, read)).toString('hex')).toBe(
          Buffer.from(toBinary(DeltaDiscoveryRequestSchema, made)).toString('hex'),
        );
      }),
    );
  });

  test('responses of delta ADS, whatever else is in them', () => {
    const response = fc.record({
      systemVersionInfo: text,
      nonce: text,
      typeUrl: text,
      removedResources: names,
      resources: fc.array(
        fc.record({
          name: text,
          version: text,
          aliases: names,
          resource: fc.record({ typeUrl: text, value: fc.uint8Array({ maxLength: 300 }) }),
          ttl: fc.record({ seconds: fc.bigInt({ min: 0n, max: 2n ** 40n }), nanos: fc.nat({ max: 999_999_999 }) }),
        }),
        { maxLength: 4 },
      ),
    });
    fc.assert(
      fc.property(response, (given) => {
        const bytes = toBinary(DeltaDiscoveryResponseSchema, create(DeltaDiscoveryResponseSchema, given));
        const read = decodeDeltaResponse(Buffer.from(bytes));
        expect({ ...read, resources: read.resources.map(({ name, version }) => ({ name, version })) }).toEqual({
          nonce: given.nonce,
          typeUrl: given.typeUrl,
          removedResources: given.removedResources,
          resources: given.resources.map(({ name, version }) => ({ name, version })),
        });
        for (const [index, { payload }] of read.resources.entries()) {
          const { resource } = given.resources[index];
          expect(payload?.typeUrl).toBe(resource.typeUrl);
          expect([...payload!.value]).toEqual([...resource.value]);
        }
      }),
    );
  });

  test('what was refused', () => {
    fc.assert(
      fc.property(word, text, (name, reason) => {
        const [{ typeUrl: type, value }] = encodeRefused('service', new Map([[name, reason]]));
        expect(type).toBe(`type.googleapis.com/${ResourceInfoSchema.typeName}`);
        const info = { resourceType: typeUrl('service'), resourceName: name, description: reason };
        expect(fromBinary(ResourceInfoSchema, value)).toEqual(create(ResourceInfoSchema, info));
      }),
    );
  });

  test('types of resources', () => {
    const known = file_meshwright_v1_resources.messages.map(({ typeName }) => `type.googleapis.com/${typeName}`);
    expect(resourceKinds.map((kind: ResourceKind) => typeUrl(kind)).sort()).toEqual(known.sort());
    for (const { fields } of file_meshwright_v1_resources.messages) {
      expect(fields.map(({ name, number }) => [name, number])).toEqual([['json', 1]]);
    }
  });
});

test('bytes that are no message are an error, never a hang', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        for (const [field, value] of readFields(Buffer.from(bytes))) expect(field * value.length).toBeLessThan(2 ** 70);
      } catch (error) {
        expect(String(error)).toMatch('malformed message');
      }
    }),
  );
  expect(() => [...readFields(new ProtobufWriter().string(1, 'cut off').finish().subarray(0, 5))]).toThrow(
    'without end',
  );
});

describe('messages of a call', () => {
  test('are found however their bytes come', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 6 });
    fc.assert(
      fc.property(messages, fc.infiniteStream(fc.integer({ min: 1, max: 30 })), (sent, sizes) => {
        const bytes = Buffer.concat(sent.map(frameMessage));
        const received: number[][] = [];
        const reader = new MessageReader(100, (message) => void received.push([...message]));
        for (let at = 0; at < bytes.length; ) {
          const end = at + sizes.next().value!;
          reader.add(bytes.subarray(at, end));
          at = end;
        }
        expect(received).toEqual(sent.map((message) => [...message]));
        expect(reader.incomplete).toBe(false);
      }),
    );
  });

  test('are refused when they are too large or compressed', () => {
    const reader = () => new MessageReader(10, () => {});
    expect(() => reader().add(frameMessage(Buffer.alloc(11)).subarray(0, 5))).toThrow('11 bytes; at most 10');
    expect(() => reader().add(Buffer.from([1, 0, 0, 0, 0]))).toThrow('compressed');
  });
});
