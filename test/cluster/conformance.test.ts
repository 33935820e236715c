import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, createWriteStream, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { get, kubectl } from './kubectl.ts';
import { binaries, kubeconfig } from './paths.ts';

/*
 * The conformance suite of the Gateway API, which others wrote, against the control plane that is installed.
 */

/** Everything the suite has for a mesh: core, extended, provisional. */
const features = [
  'Mesh',
  'MeshClusterIPMatching',
  'MeshConsumerRoute',
  'MeshHTTPRouteBackendRequestHeaderModification',
  'MeshHTTPRouteNamedRouteRule',
  'MeshHTTPRouteQueryParamMatching',
  'MeshHTTPRouteRedirectPath',
  'MeshHTTPRouteRedirectPort',
  'MeshHTTPRouteRewritePath',
  'MeshHTTPRouteSchemeRedirect',
  'HTTPRoute',
  'HTTPRouteParentRefPort',
  'HTTPRouteResponseHeaderModification',
  'HTTPRoute303RedirectStatusCode',
  'HTTPRoute307RedirectStatusCode',
  'HTTPRoute308RedirectStatusCode',
  'GRPCRoute',
];

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const report = resolve('docs/conformance/gateway-api-v1.6.3-report.yaml');

interface Report {
  readonly profiles: readonly {
    readonly name: string;
    readonly core: Outcome;
    readonly extended?: Outcome;
  }[];
  readonly failedProvisionalTests?: readonly string[];
}

interface Outcome {
  readonly result: string;
  readonly failedTests?: readonly string[];
  readonly skippedTests?: readonly string[];
  readonly statistics: { readonly Failed: number; readonly Passed: number; readonly Skipped: number };
}

afterAll(async () => {
  await kubectl(['delete', 'namespace', '-l', 'gateway-conformance', '--timeout=150s']);
}, 180_000);

test('the Gateway API conformance suite passes for MESH-HTTP and MESH-GRPC, with every feature of a mesh', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'meshwright-conformance-'));
  const [log, output] = [join(directory, 'log'), join(directory, 'report.yaml')];
  const child = spawn(
    join(binaries, 'conformance.test'),
    [
      '-test.v',
      '-test.timeout=15m',
      '-conformance-profiles=MESH-HTTP,MESH-GRPC',
      `-supported-features=${features.join(',')}`,
      '-namespace-labels=meshwright.dev/inject=enabled',
      // What its pods logged is looked at below.
      '-cleanup-base-resources=false',
      '-organization=meshwright',
      '-project=meshwright',
      '-url=https://meshwright.dev',
      `-version=v${version}`,
      '-contact=https://meshwright.dev/contact',
      `-report-output=${output}`,
    ],
    { env: { ...process.env, KUBECONFIG: kubeconfig }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const written = createWriteStream(log);
  child.stdout.pipe(written, { end: false });
  child.stderr.pipe(written, { end: false });
  const [code] = await once(child, 'close');
  const failures = readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => /^\s*--- FAIL/.test(line));
  expect({ code, failures, log }).toEqual({ code: 0, failures: [], log });

  const { profiles, failedProvisionalTests } = parse(readFileSync(output, 'utf8')) as Report;
  expect(failedProvisionalTests).toBeUndefined();
  expect(profiles.map(({ name }) => name).sort()).toEqual(['MESH-GRPC', 'MESH-HTTP']);
  for (const { core, extended } of profiles) {
    for (const outcome of extended ? [core, extended] : [core]) {
      expect(outcome).toMatchObject({ result: 'success', statistics: { Failed: 0, Skipped: 0 } });
      expect(outcome.statistics.Passed).toBeGreaterThan(0);
    }
  }
  if (process.env.UPDATE) copyFileSync(output, report);
}, 900_000);

interface Pod {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly status: { readonly podIP: string };
}

/** An entry of an access log. */
interface Entry {
  readonly direction: 'inbound' | 'outbound';
  readonly request_id?: string;
  readonly source: string;
  readonly service?: string;
  readonly target?: string;
  /** `host:port` that it was sent to. */
  readonly upstream?: string;
  readonly status: number;
  readonly mtls: boolean;
}

// Some of its tests would pass without a mesh: the echo servers answer who calls them as well.
test('what it sent to services of the mesh went through both sidecars, each of which knew the other', async () => {
  const { items: pods } = await get<{ items: Pod[] }>('pods', '-A', '-l', 'meshwright.dev/proxy=sidecar');
  const echoes = pods.filter(({ metadata }) => metadata.namespace.startsWith('gateway-conformance-mesh'));
  const logs = await Promise.all(
    echoes.map(async ({ metadata: { name, namespace }, status: { podIP } }) => {
      const log = await kubectl(['-n', namespace, 'logs', name, '-c', 'meshwright-proxy']);
      const entries = log.split('\n').flatMap((line) => (line ? [JSON.parse(line) as Entry] : []));
      // What a pod sends to itself needs no proxy on the way in.
      return entries.filter(({ direction, upstream }) => direction === 'inbound' || !upstream?.startsWith(`${podIP}:`));
    }),
  );
  const entries = logs.flat();
  const arrived = new Map(
    entries.flatMap((entry) => (entry.direction === 'inbound' ? [[entry.request_id, entry] as const] : [])),
  );
  const forwarded = entries.filter(
    ({ direction, target, status }) => direction === 'outbound' && target !== undefined && status === 200,
  );
  expect(forwarded.length).toBeGreaterThan(100);
  const isKnown = (entry?: Entry) => entry?.mtls && entry.source.includes('gateway-conformance-mesh');
  const lost = forwarded.filter(({ mtls, request_id }) => !mtls || !isKnown(arrived.get(request_id)));
  expect(lost).toEqual([]);
  expect([...arrived.values()].filter(({ mtls }) => !mtls)).toEqual([]);

  const counted = await Promise.all(echoes.map(({ status }) => requestsByIdentity(status.podIP)));
  expect(counted.flat().filter(({ mtls }) => !mtls)).toEqual([]);
  expect(counted.flat().reduce((sum, { count }) => sum + count, 0)).toBeGreaterThanOrEqual(arrived.size);
}, 120_000);

/** What a sidecar counted of requests that peers sent. */
async function requestsByIdentity(address: string) {
  const metrics = await (await fetch(`http://${address}:15020/metrics`)).text();
  return metrics
    .split('\n')
    .filter((line) => /^(http_server_request_duration_seconds|rpc_server_call_duration_seconds)_count\{/.test(line))
    .map((line) => ({ line, mtls: line.includes('mtls="true"'), count: Number(line.split(' ').at(-1)) }));
}
