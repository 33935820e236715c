import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, createWriteStream, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
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
