import { create, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import type { Resource, ResourceKind } from '../model/index.ts';
import { canonicalJson } from './canonical-json.ts';
import { EndpointsSchema, GatewaySchema, ServiceSchema, WorkloadSchema } from './gen/meshwright/v1/resources_pb.js';

/** What every kind looks like on the wire: a message of its own, so that it has its own type URL. */
type Document = Message & { json: string };

const schemas: Readonly<Record<ResourceKind, GenMessage<Document>>> = {
  workload: WorkloadSchema,
  gateway: GatewaySchema,
  endpoints: EndpointsSchema,
  service: ServiceSchema,
};

/** In the order in which a change of several kinds is sent: what a proxy is, then endpoints before who refers to them. */
export const kindsInOrder: readonly ResourceKind[] = ['workload', 'gateway', 'endpoints', 'service'];

const kindByTypeUrl = new Map(kindsInOrder.map((kind) => [typeUrl(kind), kind]));

/** For example `type.googleapis.com/meshwright.v1.Service`. */
export function typeUrl(kind: ResourceKind): string {
  return `type.googleapis.com/${schemas[kind].typeName}`;
}

export function kindOfTypeUrl(url: string): ResourceKind | undefined {
  return kindByTypeUrl.get(url);
}

/** A resource as text; equal resources are equal texts. */
export function resourceText(resource: Resource): string {
  return canonicalJson(resource);
}

export function encodeResource(kind: ResourceKind, text: string): Any {
  const schema = schemas[kind];
  return create(AnySchema, { typeUrl: typeUrl(kind), value: toBinary(schema, create(schema, { json: text })) });
}

/** The resource in a payload; throws where the payload is not a resource of this kind and name. */
export function decodeResource(kind: ResourceKind, name: string, payload: Any | undefined): Resource {
  if (payload?.typeUrl !== typeUrl(kind)) throw new Error(`the payload is ${payload?.typeUrl ?? 'missing'}`);
  const resource: Partial<Resource> | null = JSON.parse(fromBinary(schemas[kind], payload.value).json);
  if (resource?.kind !== kind || resource.name !== name) {
    throw new Error(`the payload is ${resource?.kind} ${resource?.name}`);
  }
  return resource as Resource;
}
