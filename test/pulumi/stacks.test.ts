import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { unknown } from './monitor.ts';
import { type KubernetesObject, parseObjects, registeredObjects } from './objects.ts';
import { runProgram } from './process.ts';

/** What a stack's cdk8s side writes. */
function written(program: string): KubernetesObject[] {
  const outdir = mkdtempSync(join(tmpdir(), 'meshwright-stack-'));
  try {
    execFileSync(process.execPath, [program], { env: { ...process.env, CDK8S_OUTDIR: outdir, NODE_OPTIONS: '' } });
    return parseObjects(
      readdirSync(outdir)
        .map((file) => readFileSync(join(outdir, file), 'utf8'))
        .join('---\n'),
    );
  } finally {
    rmSync(outdir, { recursive: true });
  }
}

describe.each([
  ['stacks/shop', 'examples/shop/main.ts', ['Namespace']],
  ['stacks/crds', 'stacks/crds/main.ts', []],
  ['stacks/control-plane', 'stacks/control-plane/main.ts', []],
])('%s, as Pulumi starts it', (cwd, cdk8s, more) => {
  test.each([{ preview: true }, { preview: false }])(
    'registers what its cdk8s side writes (preview: $preview)',
    async ({ preview }) => {
      const run = await runProgram('pulumi.ts', { cwd, preview });
      expect(run).toMatchObject({ code: 0, stdout: '', stderr: '' });
      const objects = registeredObjects(run.monitor);
      const shared = written(cdk8s);
      const own = objects.filter(
        ({ kind, metadata }) => !shared.some((other) => other.kind === kind && other.metadata.name === metadata.name),
      );
      expect(own.map(({ kind }) => kind)).toEqual(more);
      expect(objects.filter((object) => !own.includes(object))).toEqual(shared);
    },
  );
});

test('the address of the shop is known when its gateway is there', async () => {
  const cwd = 'stacks/shop';
  const preview = await runProgram('pulumi.ts', { cwd, preview: true });
  const update = await runProgram('pulumi.ts', { cwd });
  expect(preview.monitor.stackOutputs).toEqual({ address: unknown });
  expect(update.monitor.stackOutputs).toEqual({ address: 'http://192.0.2.7' });
});

test('the shop can be deployed without waiting', async () => {
  const { monitor } = await runProgram('pulumi.ts', { cwd: 'stacks/shop', config: { 'shop:skipAwait': 'true' } });
  expect(monitor.at('shop/shop/Resource').inputs).toMatchObject({
    metadata: { annotations: { 'pulumi.com/skipAwait': 'true' } },
  });
});

test('the control plane is as its configuration has it', async () => {
  const config = { 'shop:image': 'registry.example/meshwright:1', 'shop:replicas': '3' };
  const { code, monitor } = await runProgram('pulumi.ts', { cwd: 'stacks/control-plane', config });
  expect(code).toBe(0);
  expect(monitor.at('meshwright/control-plane/Deployment').inputs).toMatchObject({
    spec: { replicas: 3, template: { spec: { containers: [{ image: 'registry.example/meshwright:1' }] } } },
  });
});

test('what the controller writes by itself is in no manifest, so that it cannot drift', async () => {
  const { monitor } = await runProgram('pulumi.ts', { cwd: 'stacks/control-plane' });
  const { inputs, ignoreChanges } = monitor.at('meshwright/control-plane/Injector');
  expect(ignoreChanges).toEqual([]);
  const { webhooks } = inputs as unknown as { readonly webhooks: readonly { readonly clientConfig: object }[] };
  for (const { clientConfig } of webhooks) expect(Object.keys(clientConfig)).toEqual(['service']);
  const kinds = monitor.objects.map(({ inputs }) => (inputs as { kind?: string }).kind);
  for (const kind of ['Secret', 'Lease', 'ConfigMap']) expect(kinds).not.toContain(kind);
});
