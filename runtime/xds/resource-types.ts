import type { Resource, ResourceKind } from '../model/index.ts';
import { ProtobufWriter, readFields, readText } from '../rpc/index.ts';
import type { Payload } from './delta-messages.ts';

/** What every kind looks like on the wire: a message of its own (proto/meshwright/v1/resources.proto), so that it has its own type URL. */
const messages: Readonly<Record<ResourceKind, string>> = {
  workload: 'Workload',
  gateway: 'Gateway',
  endpoints: 'Endpoints',
  service: 'Service',
};
/** The field `json`, which all of them have. */
const jsonField = 1;

/** In the order in which a change of several kinds is sent: what a proxy is, then endpoints before who refers to them. */
export const kindsInOrder: readonly ResourceKind[] = ['workload', 'gateway', 'endpoints', 'service'];

const kindByTypeUrl = new Map(kindsInOrder.map((kind) => [typeUrl(kind), kind]));

/** For example `type.googleapis.com/meshwright.v1.Service`. */
export function typeUrl(kind: ResourceKind): string {
  return `type.googleapis.com/meshwright.v1.${messages[kind]}`;
}

export function kindOfTypeUrl(url: string): ResourceKind | undefined {
  return kindByTypeUrl.get(url);
}

/** A resource as a payload; `text` is its canonical JSON. */
export function encodeResource(kind: ResourceKind, text: string): Payload {
  return { typeUrl: typeUrl(kind), value: new ProtobufWriter().string(jsonField, text).finish() };
}

/** The resource in a payload; throws where the payload is not a resource of this kind and name. */
export function decodeResource(kind: ResourceKind, name: string, payload: Payload | undefined): Resource {
  if (payload?.typeUrl !== typeUrl(kind)) throw new Error(`the payload is ${payload?.typeUrl ?? 'missing'}`);
  let json = '';
  for (const [field, value] of readFields(Buffer.from(payload.value))) if (field === jsonField) json = readText(value);
  const resource: Partial<Resource> | null = JSON.parse(json);
  if (resource?.kind !== kind || resource.name !== name) {
    throw new Error(`the payload is ${resource?.kind} ${resource?.name}`);
  }
  return resource as Resource;
}
