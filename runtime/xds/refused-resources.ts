import type { ResourceKind } from '../model/index.ts';
import { ProtobufWriter, readFields, readText } from '../rpc/index.ts';
import type { Payload } from './delta-messages.ts';
import { typeUrl } from './resource-types.ts';

/*
 * A NACK of delta ADS is about a whole response. Which resources of it were refused, and that the others were not, is in
 * the details of its error: one google.rpc.ResourceInfo each. Without details all were.
 */

const detailType = 'type.googleapis.com/google.rpc.ResourceInfo';
/** A refusal names all; more of them than these have the same reason mostly, or one that is too long to send. */
const maxReasons = 20;
const maxReasonLength = 512;

/** `refused`: why, by name. */
export function encodeRefused(kind: ResourceKind, refused: ReadonlyMap<string, string>): Payload[] {
  return Array.from(refused, ([resourceName, reason], index) => {
    const description = index < maxReasons ? reason.slice(0, maxReasonLength) : '';
    const info = new ProtobufWriter().string(1, typeUrl(kind)).string(2, resourceName).string(4, description);
    return { typeUrl: detailType, value: info.finish() };
  });
}

/** Why, by name; empty where all were refused. */
export function decodeRefused(kind: ResourceKind, details: readonly Payload[]): ReadonlyMap<string, string> {
  const refused = new Map<string, string>();
  for (const { typeUrl: type, value } of details) {
    if (type !== detailType) continue;
    const [, resourceType, resourceName = '', , description = ''] = textsOf(value);
    if (resourceType === typeUrl(kind)) refused.set(resourceName, description);
  }
  return refused;
}

/** The fields of a message of strings, by their numbers. */
function textsOf(message: Uint8Array): string[] {
  const texts: string[] = [];
  for (const [field, value] of readFields(Buffer.from(message))) if (field <= 4) texts[field] = readText(value);
  return texts;
}
