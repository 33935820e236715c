import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { apply, kubectl } from './kubectl.ts';
import { containerdSocket, kubeconfig, pidsFile, scripts } from './paths.ts';

/*
 * npm run test:cluster [-- <jest arguments>]: starts a Kubernetes, runs the tests of this directory against it, leaves
 * nothing behind. With MESHWRIGHT_CLUSTER_KEEP=1 it uses a cluster that is up, and does not stop it.
 */

const root = resolve(import.meta.dirname, '../..');
const keep = process.env.MESHWRIGHT_CLUSTER_KEEP === '1';
const image = join(root, 'dist/image.tar');
const cli = join(root, 'runtime/cli/main.ts');
const shopImage = join(root, 'dist/shop-image.tar');

function say(text: string): void {
  process.stderr.write(`test:cluster: ${text}\n`);
}

async function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<number> {
  const child = spawn(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  const [code, signal] = await once(child, 'exit');
  return signal ? 1 : code;
}

async function must(what: string, command: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<void> {
  const started = performance.now();
  if ((await run(command, args, env)) !== 0) throw new Error(`${what} failed`);
  say(`${what}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

function script(name: string): string {
  return join(scripts, name);
}

/** Builds an image and puts it where the cluster finds it. */
async function provideImage(archive: string, args: readonly string[]): Promise<void> {
  await must(`build ${archive}`, process.execPath, ['image/build.ts', '--output', archive, ...args]);
  await must(`import ${archive}`, 'ctr', ['-a', containerdSocket, '-n', 'k8s.io', 'image', 'import', archive]);
}

/** As a user does: what `install` prints is applied, and `check` waits until it is well. */
async function install(running: boolean): Promise<void> {
  const { stdout } = await promisify(execFile)(process.execPath, [cli, 'install'], { cwd: root, maxBuffer: 64 << 20 });
  await apply(stdout);
  if (running) {
    // On a cluster that was up the image has another content under the same name.
    const controller = ['-n', 'meshwright-system', 'rollout'];
    await kubectl([...controller, 'restart', 'deployment/meshwright-controller']);
    await kubectl([...controller, 'status', 'deployment/meshwright-controller', '--timeout=150s']);
  }
  await must('install the control plane', process.execPath, [cli, 'check', '--wait', '3m'], { KUBECONFIG: kubeconfig });
}

async function main(): Promise<number> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    say('it starts a Kubernetes on this machine, which needs Linux and root; `npm test` needs neither');
    return 2;
  }
  const running = existsSync(pidsFile);
  if (!keep || !running) {
    await must('set up', 'bash', [script('setup.sh')]);
    if (running) await must('stop the cluster of an earlier run', 'bash', [script('down.sh')]);
    // The retries of the shop are an experimental field of the Gateway API.
    await must('start the cluster', 'bash', [script('up.sh')], { GATEWAY_API: 'experimental' });
  }
  await provideImage(image, []);
  await provideImage(shopImage, ['--app', 'examples/shop', '--tag', 'meshwright/example-shop:0.1.0']);
  await install(keep && running);
  const jest = [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    '--config',
    'test/cluster/jest.config.json',
  ];
  return run(process.execPath, [...jest, ...process.argv.slice(2)], { KUBECONFIG: kubeconfig });
}

let code = 1;
// The tests get the signal too, and end; what was started is stopped all the same.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
try {
  code = await main();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
} finally {
  // In silence: the last to be seen is the summary of the tests.
  if (!keep && existsSync(pidsFile) && (await run('bash', [script('down.sh')])) !== 0) {
    say('the cluster could not be stopped');
    code ||= 1;
  }
}
process.exit(code);
