import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { apply, eventually, get, kubectl } from './kubectl.ts';

/*
 * The image that run.ts has imported, under what a cautious cluster demands of a pod.
 */

const namespace = 'image';
const image = 'meshwright/meshwright:0.1.0';

/** What the `restricted` pod security standard asks for, and a root file system that nobody writes to. */
const restricted = {
  runAsNonRoot: true,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};
/** The init container's: root for nft, with one capability. */
const redirecting = {
  ...restricted,
  runAsNonRoot: false,
  runAsUser: 0,
  capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] },
};

interface Container {
  readonly args?: readonly string[];
  readonly command?: readonly string[];
  readonly securityContext: object;
}

/** Runs one container to its end; what it said and how it ended. */
async function run(name: string, container: Container): Promise<{ readonly exitCode: number; readonly log: string }> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      containers: [{ name: 'it', image, imagePullPolicy: 'Never', ...container }],
    },
  };
  await apply(JSON.stringify(pod));
  const { exitCode } = await eventually(`pod ${name} has ended`, async () => {
    const { status } = await get<{ status: PodStatus }>('-n', namespace, 'pod', name);
    return status.containerStatuses?.[0].state.terminated;
  });
  return { exitCode, log: await kubectl(['-n', namespace, 'logs', name]) };
}

interface PodStatus {
  readonly containerStatuses?: readonly { readonly state: { readonly terminated?: { readonly exitCode: number } } }[];
}

beforeAll(async () => {
  await apply(
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, labels: { 'meshwright.dev/inject': 'disabled' } },
    }),
  );
});

afterAll(async () => {
  await kubectl(['delete', 'namespace', namespace, '--timeout=60s']);
});

it('runs the CLI as somebody who may do nothing', async () => {
  const { exitCode, log } = await run('version', { args: ['--version'], securityContext: restricted });
  expect({ exitCode, log }).toEqual({ exitCode: 0, log: '0.1.0\n' });
});

it('tells what the CLI can do', async () => {
  const { exitCode, log } = await run('help', { args: ['--help'], securityContext: restricted });
  expect(exitCode).toBe(0);
  for (const command of ['sidecar', 'controller']) expect(log).toContain(`  ${command} `);
});

it('changes the rules of its pod with nft and the one capability for that', async () => {
  const script = 'add table inet meshwright; list tables';
  const { exitCode, log } = await run('nft', { command: ['nft', script], securityContext: redirecting });
  expect({ exitCode, log }).toEqual({ exitCode: 0, log: 'table inet meshwright\n' });
});

it('cannot change them without', async () => {
  const { exitCode, log } = await run('powerless', {
    command: ['nft', 'add table inet meshwright'],
    securityContext: restricted,
  });
  expect(exitCode).not.toBe(0);
  expect(log).toContain('Operation not permitted');
});

it('has no shell', async () => {
  const paths = ['/bin/sh', '/bin/bash', '/usr/bin/sh', '/bin/busybox'];
  const program = `console.log(${JSON.stringify(paths)}.filter((path) => require('node:fs').existsSync(path)).length)`;
  const { log } = await run('shell', { command: ['node', '-e', program], securityContext: restricted });
  expect(log).toBe('0\n');
});
