import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { build } from 'esbuild';
import { secret, unknown } from './monitor.ts';
import { type Run, runProgram } from './process.ts';

const program = (name: string) => resolve('test/pulumi/programs', `${name}.ts`);
const errorsOf = ({ logs }: Run) => logs.filter(({ severity }) => severity === 3).map(({ message }) => message);

describe('values that other resources and the stack give', () => {
  const config = { 'shop:password': 's3cret' };
  const containerOf = ({ monitor }: Run) => {
    const { inputs } = monitor.at('east/shop/web/Workload/Deployment');
    return (inputs as { spec: { template: { spec: { containers: unknown[] } } } }).spec.template.spec.containers[0];
  };

  test('are unknown in the first preview, known in the update', async () => {
    const preview = await runProgram(program('values'), { preview: true, config });
    const update = await runProgram(program('values'), { config });
    expect(containerOf(preview)).toMatchObject({ image: unknown });
    expect(containerOf(update)).toMatchObject({ image: 'example/web:1.4' });
  });

  test('keep a password out of everything but its place', async () => {
    const run = await runProgram(program('values'), { config });
    const { stdout, stderr, logs, monitor } = run;
    expect(containerOf(run)).toMatchObject({ env: [{ name: 'PORT' }, { name: 'PASSWORD', value: secret('s3cret') }] });
    expect(JSON.stringify(monitor.registrations).match(/s3cret/g)).toHaveLength(1);
    // For debugging the SDK logs whole replies; the engine is to mask secrets in these.
    const shown = logs.filter(({ severity }) => severity > 0);
    expect(JSON.stringify({ stdout, stderr, shown })).not.toContain('s3cret');
  });
});

test('URNs are the same when a program is bundled and minified, which renames every variable and class', async () => {
  mkdirSync('.meshwright', { recursive: true });
  const directory = mkdtempSync('.meshwright/minified-');
  try {
    const outfile = resolve(join(directory, 'program.mjs'));
    await build({
      entryPoints: ['stacks/shop/pulumi.ts'],
      outfile,
      bundle: true,
      minify: true,
      platform: 'node',
      format: 'esm',
      external: ['@pulumi/*', 'cdk8s', 'cdk8s-plus-27', 'constructs', 'yaml'],
      alias: { 'meshwright/pulumi': resolve('constructs/pulumi/index.ts'), meshwright: resolve('constructs/index.ts') },
    });
    const [plain, minified] = [await runProgram('pulumi.ts', { cwd: 'stacks/shop' }), await runProgram(outfile)];
    expect(minified).toMatchObject({ code: 0, stderr: '' });
    expect(minified.monitor.sorted.map(({ urn }) => urn)).toEqual(plain.monitor.sorted.map(({ urn }) => urn));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

describe('a program with a mistake', () => {
  test('is told all of it, in its own terms, before anything is registered', async () => {
    const run = await runProgram(program('wrong'));
    expect(run.code).not.toBe(0);
    expect(errorsOf(run).join('\n')).toMatchInlineSnapshot(`
"error MW1145 shop/web: the name of a port is an Output, which is not known while the tree is built
    fix: write it as a literal; Outputs can be values, not names of ports, versions, labels or constructs
error MW1138 shop/web/Workload: no image is stated for web
    fix: state an image, in \`workload\` for all versions or in the version itself, or use Service.fromName for what runs already
error MW1231 shop/web/all: it has no rules
    fix: state at least one, for example { to: reviews }"
`);
    expect(run.monitor.objects).toEqual([]);
    expect(run.monitor.registrations.map(({ type }) => type)).toEqual(['pulumi:pulumi:Stack']);
  });

  test('is told which name it gave twice', async () => {
    const run = await runProgram(program('twice'));
    expect(run.code).not.toBe(0);
    expect(errorsOf(run)).toEqual([
      'PulumiApp east: there is one of this name already; name them apart, for example after their clusters',
    ]);
  });

  test('is told what waits for itself', async () => {
    const run = await runProgram(program('circle'));
    expect(run.code).not.toBe(0);
    expect(run.stderr).toContain(
      '"east/shop/cart/Resource" [kubernetes:core/v1:Service] was waiting for the value of its input property "metadata"',
    );
  });

  test('is told which object could not be made, where the cluster cannot be reached', async () => {
    const reason = 'configured Kubernetes cluster is unreachable: dial tcp 192.0.2.1:6443: i/o timeout';
    const refuse = ({ name }: { name: string }) => (name === 'shop/shop/web/Resource' ? reason : undefined);
    const run = await runProgram('pulumi.ts', { cwd: 'stacks/shop', refuse });
    expect(run.code).not.toBe(0);
    expect(errorsOf(run).join('\n')).toContain(
      `failed to register new resource shop/shop/web/Resource [kubernetes:core/v1:Service]: 2 UNKNOWN: ${reason}`,
    );
  });
});

test.each(['@pulumi/pulumi', '@pulumi/kubernetes'])('who lacks %s is told to install it', (name) => {
  const script = `
    import { registerHooks } from 'node:module';
    registerHooks({
      resolve(specifier, context, next) {
        if (specifier !== '${name}') return next(specifier, context);
        throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' });
      },
    });
    await import('meshwright/pulumi');
  `;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr).toContain(
    `Error: meshwright/pulumi needs ${name}, which cannot be loaded; install it: npm install @pulumi/pulumi @pulumi/kubernetes`,
  );
});
