import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createTokenKeys } from '../identity/authority.ts';
import type { Clock } from '../model/index.ts';
import type { Guardian } from './guardian.ts';
import { LogFile } from './log-file.ts';
import { ManagedProcess } from './managed-process.ts';
import type { PortAllocator } from './ports.ts';
import { isReady } from './readiness.ts';
import type { StateDirectory } from './state-directory.ts';

export interface ControlPlaneOptions {
  readonly clock: Clock;
  readonly guardian: Guardian;
  readonly allocator: PortAllocator;
  readonly state: StateDirectory;
  readonly workingDirectory: string;
  readonly onCrash: (process: string, reason: string, delay: number) => void;
}

const cli = fileURLToPath(new URL('../cli/main.ts', import.meta.url));
const poll = 50;
const patience = 60_000;
const shutdownGrace = 5_000;

/** The controller as a process of its own, and what others must know to use it. */
export interface ControlPlane {
  /** For proxies: `host:port` and the roots to verify it with. */
  readonly address: string;
  readonly bundlePem: string;
  /** URL of the API. */
  readonly api: string;
  /** Signs workload tokens; it never leaves this process. */
  readonly tokenKeyPem: string;
  stop(): Promise<void>;
}

/** Starts the controller; resolves when it answers. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { clock, guardian, allocator, state, workingDirectory: cwd, onCrash } = options;
  const [port, apiPort] = [await allocator.take(), await allocator.take()];
  const keys = createTokenKeys();
  const publicKey = join(state.controller, 'token-key.pub');
  const bundle = join(state.controller, 'bundle.pem');
  writeFileSync(publicKey, keys.publicKeyPem);
  const log = new LogFile(join(state.logs, 'controller.log'));
  const command = [
    ...[process.execPath, cli, 'controller'],
    ...['--manifests', state.manifests, state.runtime],
    ...['--listen', `127.0.0.1:${port}`, '--api', `127.0.0.1:${apiPort}`],
    ...['--state', state.controller, '--token-key', publicKey, '--write-bundle', bundle],
  ];
  const controller = new ManagedProcess(
    { name: 'controller', command, env: process.env, cwd },
    { clock, guardian, log, onCrash: (reason, delay) => onCrash('controller', reason, delay) },
  );
  controller.start();
  const stop = async () => {
    await controller.stop(shutdownGrace);
    log.close();
  };
  const deadline = clock.now() + patience;
  // The bundle is written when the API answers already.
  while (!existsSync(bundle) || !(await isReady({ port: apiPort, path: '/ready' }))) {
    if (clock.now() > deadline) {
      await stop();
      throw new Error(`the controller does not get ready; it said last:\n${log.tail(10).join('\n')}`);
    }
    await new Promise<void>((resolve) => clock.schedule(poll, resolve));
  }
  return {
    address: `127.0.0.1:${port}`,
    bundlePem: readFileSync(bundle, 'utf8'),
    api: `http://127.0.0.1:${apiPort}`,
    tokenKeyPem: keys.privateKeyPem,
    stop,
  };
}
