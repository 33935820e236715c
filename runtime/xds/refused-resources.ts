import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import type { ResourceKind } from '../model/index.ts';
import { ResourceInfoSchema } from './gen/google/rpc/error_details_pb.js';
import { typeUrl } from './resource-types.ts';

/*
 * A NACK of delta ADS is about a whole response. Which resources of it were refused, and that the others were not, is in
 * the details of its error: one google.rpc.ResourceInfo each. Without details all were.
 */

const detailType = `type.googleapis.com/${ResourceInfoSchema.typeName}`;
/** A refusal names all; more of them than these have the same reason mostly, or one that is too long to send. */
const maxReasons = 20;
const maxReasonLength = 512;

/** `refused`: why, by name. */
export function encodeRefused(kind: ResourceKind, refused: ReadonlyMap<string, string>): Any[] {
  return Array.from(refused, ([resourceName, reason], index) => {
    const description = index < maxReasons ? reason.slice(0, maxReasonLength) : '';
    const info = create(ResourceInfoSchema, { resourceType: typeUrl(kind), resourceName, description });
    return create(AnySchema, { typeUrl: detailType, value: toBinary(ResourceInfoSchema, info) });
  });
}

/** Why, by name; empty where all were refused. */
export function decodeRefused(kind: ResourceKind, details: readonly Any[]): ReadonlyMap<string, string> {
  const refused = new Map<string, string>();
  for (const { typeUrl: type, value } of details) {
    if (type !== detailType) continue;
    const { resourceType, resourceName, description } = fromBinary(ResourceInfoSchema, value);
    if (resourceType === typeUrl(kind)) refused.set(resourceName, description);
  }
  return refused;
}
