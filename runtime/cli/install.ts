import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import { CommandError } from './exit-code.ts';
import { parseTrustDomain } from './trust-domain.ts';

interface Options {
  readonly image?: string;
  readonly sidecarImage?: string;
  readonly imagePullPolicy?: string;
  readonly replicas?: number;
  readonly trustDomain?: string;
  readonly logLevel?: string;
  readonly crds: boolean;
  readonly crdsOnly?: true;
}

/** What is installed is written with cdk8s, which the command line itself does not load. */
const printer = fileURLToPath(new URL('../../stacks/control-plane/print.ts', import.meta.url));

export const command = new Command('install')
  .option('--image <image>', 'of the controller and the sidecars; else that of this version')
  .option('--sidecar-image <image>', 'of the sidecars, where it is another')
  .addOption(
    new Option('--image-pull-policy <policy>', 'of the controller').choices(['Always', 'IfNotPresent', 'Never']),
  )
  .option('--replicas <number>', 'how many controllers run (default: 2)', parseReplicas)
  .option('--trust-domain <name>', 'first part of all identities (default: cluster.local)', parseTrustDomain)
  .addOption(new Option('--log-level <level>', 'of the controller').choices(['debug', 'info', 'warn', 'error']))
  .option('--no-crds', 'without the definitions of the kinds of meshwright.dev')
  .addOption(new Option('--crds-only', 'nothing but these definitions').conflicts('crds'))
  .addHelpText(
    'before',
    `Examples:
  $ meshwright install | kubectl apply --server-side -f -
  $ meshwright install --crds-only | kubectl apply --server-side -f -
  $ meshwright install | kubectl diff --server-side -f -
`,
  )
  .action(async ({ crdsOnly, ...props }: Options) => {
    const options = { ...props, controlPlane: !crdsOnly };
    const child = spawn(process.execPath, [printer, JSON.stringify(options)], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    if (code !== 0) throw new CommandError(`${printer} ended with ${signal ?? `code ${code}`}`);
  });

function parseReplicas(text: string): number {
  const replicas = Number(text);
  if (!Number.isInteger(replicas) || replicas < 1) throw new InvalidArgumentError('Allowed are whole numbers from 1.');
  return replicas;
}
