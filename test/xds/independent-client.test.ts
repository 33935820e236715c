import { createRequire } from 'node:module';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import type { Service } from '../../runtime/model/index.ts';
import { TestControlPlane, workload } from '../identity/control-plane.ts';

/** What these tests use of @grpc/grpc-js and @grpc/proto-loader, which come with @grpc/grpc-js-xds. */
interface DeltaStream {
  write(request: object): void;
  end(): void;
  on(event: 'data', listener: (response: DeltaResponse) => void): void;
  on(event: 'error', listener: (error: Error & { code: number }) => void): void;
}
interface DeltaResponse {
  readonly nonce: string;
  readonly type_url: string;
  readonly resources: readonly {
    readonly name: string;
    readonly version: string;
    readonly resource: { readonly value: Buffer };
  }[];
  readonly removed_resources: readonly string[];
}
interface AdsClient {
  DeltaAggregatedResources(): DeltaStream;
  close(): void;
}

const require = createRequire(createRequire(import.meta.url).resolve('@grpc/grpc-js-xds'));
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const deps = join(import.meta.dirname, '../../node_modules/@grpc/grpc-js-xds/deps');
const definition = protoLoader.loadSync('envoy/service/discovery/v3/ads.proto', {
  keepCase: true,
  includeDirs: ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((directory) => join(deps, directory)),
});
const Client = grpc.loadPackageDefinition(definition).envoy.service.discovery.v3.AggregatedDiscoveryService;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const typeUrl = 'type.googleapis.com/meshwright.v1.Service';

function service(name: string, host = name): Service {
  return { kind: 'service', name, hosts: [host], addresses: [], ports: [], balancer: { kind: 'peak-ewma' } };
}

async function connect(withCertificate: boolean) {
  const plane = await TestControlPlane.start();
  cleanups.push(() => plane[Symbol.asyncDispose]());
  const source = plane.svidSource();
  const svid = await source.start();
  source.close();
  const [key, chain] = withCertificate ? [Buffer.from(svid.key), Buffer.from(svid.certChainPem)] : [null, null];
  const credentials = grpc.credentials.createSsl(Buffer.from(svid.bundlePem), key, chain, {
    checkServerIdentity: () => undefined,
  });
  const client: AdsClient = new Client(plane.address, credentials);
  cleanups.push(() => client.close());
  return { plane, stream: client.DeltaAggregatedResources() };
}

test("gRPC's own client with Envoy's own protos follows a resource", async () => {
  const { plane, stream } = await connect(true);
  stream.on('error', () => {});
  const responses: DeltaResponse[] = [];
  let arrived = () => {};
  stream.on('data', (response) => {
    responses.push(response);
    stream.write({ type_url: typeUrl, response_nonce: response.nonce });
    arrived();
  });
  const received = async (count: number) => {
    while (responses.length < count) await new Promise<void>((resolve) => (arrived = resolve));
    return responses[count - 1];
  };
  plane.cache.set([service('shop/reviews')]);
  stream.write({
    node: { id: 'independent' },
    type_url: typeUrl,
    resource_names_subscribe: ['shop/reviews', 'shop/none'],
  });

  const first = await received(1);
  expect(first.type_url).toBe(typeUrl);
  expect(first.resources.map(({ name, version }) => ({ name, version }))).toEqual([
    { name: 'shop/reviews', version: plane.cache.version('service', 'shop/reviews') },
  ]);
  // The payload's only field is field 1, a text.
  const { value } = first.resources[0].resource;
  expect(value[0]).toBe(0x0a);
  expect(JSON.parse(value.subarray(2).toString())).toEqual(service('shop/reviews'));
  expect(first.removed_resources).toEqual(['shop/none']);

  plane.cache.set([service('shop/reviews', 'changed')]);
  expect((await received(2)).resources).toHaveLength(1);
  plane.cache.set([]);
  expect((await received(3)).removed_resources).toEqual(['shop/reviews']);
  expect(plane.handler.proxies()).toEqual([
    expect.objectContaining({ id: 'independent', identity: workload('reviews') }),
  ]);
  stream.end();
});

test("gRPC's own client without a certificate is told that it is unauthenticated", async () => {
  const { stream } = await connect(false);
  const { promise, resolve } = Promise.withResolvers<number>();
  stream.on('data', () => {});
  stream.on('error', ({ code }) => resolve(code));
  stream.write({ node: { id: 'independent' }, type_url: typeUrl, resource_names_subscribe: ['*'] });
  expect(await promise).toBe(grpc.status.UNAUTHENTICATED);
});
