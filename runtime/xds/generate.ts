/**
 * Generates the messages and services of our protos and of delta ADS, without network: Envoy's own protos come with
 * the package @grpc/grpc-js-xds, compiler and plugin with the other @bufbuild packages. Run by `npm run generate`.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const shipped = join(root, 'node_modules/@grpc/grpc-js-xds/deps');

/** What discovery.proto needs to compile; most of it does not survive the choice of types below. */
const envoySources = [
  'envoy-api/envoy/annotations',
  'envoy-api/envoy/config/core/v3',
  'envoy-api/envoy/service/discovery/v3',
  'envoy-api/envoy/type/matcher/v3',
  'envoy-api/envoy/type/v3',
  'googleapis/google/rpc/error_details.proto',
  'googleapis/google/rpc/status.proto',
  'protoc-gen-validate/validate',
  'xds/udpa/annotations',
  'xds/xds/annotations',
  'xds/xds/core',
];
const types = [
  'envoy.service.discovery.v3.AggregatedDiscoveryService.DeltaAggregatedResources',
  'google.rpc.ResourceInfo',
];
/** Options that only other tools read. */
const excludedTypes = ['envoy.annotations', 'udpa.annotations', 'validate', 'xds.annotations.v3'];

const work = mkdtempSync(join(tmpdir(), 'meshwright-generate-'));
try {
  for (const source of envoySources) {
    const [, ...path] = source.split('/');
    cpSync(join(shipped, source), join(work, 'envoy', ...path), { recursive: true });
  }
  // The shipped validate.proto is older than the protos which use it.
  for (const file of globSync('envoy/**/*.proto', { cwd: work })) {
    const text = readFileSync(join(work, file), 'utf8');
    writeFileSync(join(work, file), text.replaceAll(' ignore_empty: true', ''));
  }
  cpSync(join(root, 'runtime/xds/proto'), join(work, 'xds'), { recursive: true });
  cpSync(join(root, 'runtime/identity/proto'), join(work, 'identity'), { recursive: true });
  writeFileSync(
    join(work, 'buf.yaml'),
    JSON.stringify({ version: 'v2', modules: ['envoy', 'identity', 'xds'].map((path) => ({ path })) }),
  );
  const outputs = { xds: join(root, 'runtime/xds/gen'), identity: join(root, 'runtime/identity/gen') };
  for (const output of Object.values(outputs)) rmSync(output, { recursive: true, force: true });
  generate(outputs.xds, { directory: 'envoy', types, exclude_types: excludedTypes });
  generate(outputs.xds, { directory: 'xds' });
  generate(outputs.identity, { directory: 'identity' });
} finally {
  rmSync(work, { recursive: true });
}

function generate(out: string, input: object): void {
  // JavaScript with declarations: protobuf enums as TypeScript would not be erasable.
  const plugin = { local: join(root, 'node_modules/.bin/protoc-gen-es'), out, include_imports: true };
  const template = {
    version: 'v2',
    plugins: [{ ...plugin, opt: ['target=js+dts', 'import_extension=js'] }],
    inputs: [input],
  };
  execFileSync(join(root, 'node_modules/.bin/buf'), ['generate', '--template', JSON.stringify(template)], {
    cwd: work,
    stdio: 'inherit',
  });
}
