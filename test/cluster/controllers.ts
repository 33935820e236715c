import { execFileSync } from 'node:child_process';
import { apply, eventually, get, kubectl } from './kubectl.ts';

/*
 * What tests do with the control plane as a whole.
 */

const inSystem = ['-n', 'meshwright-system'];
const deployment = 'deployment/meshwright-controller';

interface ControllerPod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly containers: readonly { readonly image: string }[] };
  readonly status: { readonly containerStatuses?: readonly { readonly restartCount: number }[] };
}

export interface Lease {
  readonly spec: { readonly holderIdentity: string; readonly renewTime: string; readonly leaseTransitions: number };
}

/** Has the control plane be what `meshwright install` prints for these options. */
export async function install(...options: readonly string[]): Promise<void> {
  const args = ['runtime/cli/main.ts', 'install', ...options];
  await apply(execFileSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 64 << 20 }));
  await rolledOut();
}

/** Resolves when those of before are gone, too: until then they lead, inject and serve. */
export async function rolledOut(): Promise<void> {
  await kubectl([...inSystem, 'rollout', 'status', deployment, '--timeout=150s']);
  await eventually('no controller ends any more', async () =>
    (await controllers(true)).every(({ metadata }) => !metadata.deletionTimestamp),
  );
}

/** Those that run on, and where `ending` says so those that are about to end. */
export async function controllers(ending = false): Promise<readonly ControllerPod[]> {
  const selector = ['-l', 'app.kubernetes.io/name=meshwright-controller'];
  const { items } = await get<{ items: ControllerPod[] }>(...inSystem, 'pods', ...selector);
  return items.filter(({ metadata }) => ending || !metadata.deletionTimestamp);
}

/** Resolves when so many run, and those that are too many are gone. */
export async function scaleControllers(replicas: number): Promise<void> {
  await kubectl([...inSystem, 'scale', deployment, `--replicas=${replicas}`]);
  await rolledOut();
}

export function lease(): Promise<Lease> {
  return get<Lease>(...inSystem, 'lease', 'meshwright-controller');
}
