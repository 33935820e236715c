import { execFileSync } from 'node:child_process';
import { rootCertificates } from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import type { Registration } from '../pulumi/monitor.ts';
import { type Run, runProgram } from '../pulumi/process.ts';
import { ApiServer } from './api-server.ts';
import { scripts } from './paths.ts';
import { isNamespace, ServerSideApply } from './server-side-apply.ts';

/*
 * What Pulumi programs register, given to a real API server. There is no node: nothing runs, so nothing is awaited.
 */

let server: ApiServer | undefined;
let apply: ServerSideApply;

beforeAll(async () => {
  server = await ApiServer.start();
  const gatewayApi = execFileSync('xz', ['-dc', `${scripts}/conf/gateway-api-v1.6.3-experimental.yaml.xz`], {
    encoding: 'utf8',
    maxBuffer: 1e8,
  });
  const definitions = parseAllDocuments(gatewayApi).map((document) => document.toJS());
  const install = new ServerSideApply(server);
  for (const inputs of definitions) {
    if (inputs?.kind === 'CustomResourceDefinition') await install.provide({ inputs, name: '' } as Registration, false);
  }
  apply = new ServerSideApply(server);
}, 120_000);

afterAll(async () => server?.[Symbol.asyncDispose]());

const up = (cwd: string, preview = false): Promise<Run> =>
  runProgram('pulumi.ts', { cwd, preview, provide: (registration, dry) => apply.provide(registration, dry) });
const stacks = ['stacks/crds', 'stacks/control-plane', 'stacks/shop'];

/** The API server takes nothing but PEM. */
const certificate = Buffer.from(rootCertificates[0]).toString('base64');
const injector = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/meshwright-injector';

/** Writes the `caBundle` of the webhooks as the controller does. */
async function trustController(caBundle: string): Promise<void> {
  const { body } = await server!.request<{ webhooks: { name: string }[] }>('GET', injector);
  const { status } = await server!.request(
    'PATCH',
    `${injector}?fieldManager=meshwright-controller`,
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata: { name: 'meshwright-injector' },
      webhooks: body.webhooks.map(({ name }) => ({ name, clientConfig: { caBundle } })),
    },
    'application/apply-patch+yaml',
  );
  expect(status).toBe(200);
}

test('every object of our stacks is accepted; a second update and a preview change nothing; all can be removed', async () => {
  const succeeded = { code: 0, stdout: '', stderr: '' };
  for (const stack of stacks) expect(await up(stack)).toMatchObject(succeeded);
  await trustController(certificate);
  const before = await apply.objects();
  expect(JSON.stringify(before.get(injector))).toContain('caBundle');
  expect(before.size).toBeGreaterThan(40);

  for (const stack of stacks) expect(await up(stack)).toMatchObject(succeeded);
  expect(await apply.objects()).toEqual(before);

  for (const stack of stacks) expect(await up(stack, true)).toMatchObject(succeeded);
  expect(await apply.objects()).toEqual(before);

  await apply.remove();
  expect([...(await apply.objects()).keys()].filter((path) => !isNamespace(path))).toEqual([]);
}, 120_000);
