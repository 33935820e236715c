import { ProtobufWriter, readFields, readText } from '../rpc/index.ts';

/**
 * The messages of delta ADS as a sidecar uses them, by hand: the generated ones, with all that their schemas refer to,
 * would take 4 MB of memory in every pod. Numbers are those of envoy/service/discovery/v3/discovery.proto.
 */

/** `DeltaDiscoveryRequest`. */
export interface DeltaRequest {
  /** In the first request of a stream. */
  readonly node?: {
    readonly id: string;
    readonly metadata: Readonly<Record<string, string>>;
    readonly userAgentName: string;
  };
  readonly typeUrl: string;
  readonly resourceNamesSubscribe?: readonly string[];
  readonly resourceNamesUnsubscribe?: readonly string[];
  readonly initialResourceVersions?: Readonly<Record<string, string>>;
  readonly responseNonce?: string;
  /** `google.rpc.Status`: why the response of that nonce was refused. */
  readonly errorDetail?: { readonly code: number; readonly message: string; readonly details?: readonly Payload[] };
}

/** `DeltaDiscoveryResponse`. */
export interface DeltaResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly resources: readonly DeltaResource[];
  readonly removedResources: readonly string[];
}

interface DeltaResource {
  readonly name: string;
  readonly version: string;
  readonly payload: Payload | undefined;
}

/** `google.protobuf.Any`. */
export interface Payload {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

export function encodeDeltaRequest(request: DeltaRequest): Buffer {
  const { node, errorDetail } = request;
  const writer = new ProtobufWriter();
  if (node) {
    // google.protobuf.Struct of google.protobuf.Value.
    const metadata = new ProtobufWriter().map(1, node.metadata, (value) =>
      new ProtobufWriter().bytes(3, Buffer.from(value)).finish(),
    );
    const message = new ProtobufWriter().string(1, node.id).bytes(3, metadata.finish()).string(6, node.userAgentName);
    writer.bytes(1, message.finish());
  }
  writer
    .string(2, request.typeUrl)
    .strings(3, request.resourceNamesSubscribe)
    .strings(4, request.resourceNamesUnsubscribe)
    .map(5, request.initialResourceVersions)
    .string(6, request.responseNonce);
  if (errorDetail) {
    const status = new ProtobufWriter().uint(1, errorDetail.code).string(2, errorDetail.message);
    for (const detail of errorDetail.details ?? []) status.bytes(3, encodePayload(detail));
    writer.bytes(7, status.finish());
  }
  return writer.finish();
}

/** Throws when the bytes are no such message. */
export function decodeDeltaResponse(message: Buffer): DeltaResponse {
  let typeUrl = '';
  let nonce = '';
  const resources: DeltaResource[] = [];
  const removedResources: string[] = [];
  for (const [field, value] of readFields(message)) {
    if (field === 2) resources.push(decodeResourceMessage(value));
    else if (field === 4) typeUrl = readText(value);
    else if (field === 5) nonce = readText(value);
    else if (field === 6) removedResources.push(readText(value));
  }
  return { typeUrl, nonce, resources, removedResources };
}

function decodeResourceMessage(message: Buffer): DeltaResource {
  let version = '';
  let payload: Payload | undefined;
  let name = '';
  for (const [field, value] of readFields(message)) {
    if (field === 1) version = readText(value);
    else if (field === 2) payload = decodePayload(value);
    else if (field === 3) name = readText(value);
  }
  return { name, version, payload };
}

function encodePayload({ typeUrl, value }: Payload): Buffer {
  return new ProtobufWriter().string(1, typeUrl).bytes(2, value).finish();
}

function decodePayload(message: Buffer): Payload {
  let typeUrl = '';
  let value: Uint8Array = Buffer.alloc(0);
  for (const [field, bytes] of readFields(message)) {
    if (field === 1) typeUrl = readText(bytes);
    else if (field === 2) value = bytes;
  }
  return { typeUrl, value };
}
