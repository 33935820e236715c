import { readFile, rename, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { Command, Option } from 'commander';
import { pino } from 'pino';
import { startFileController, startKubernetesController } from '../controller/index.ts';
import { openKubernetesApi } from '../kubernetes/index.ts';
import { exitCode, usageError } from './exit-code.ts';
import { parseTrustDomain } from './trust-domain.ts';

interface Options {
  readonly manifests?: string[];
  readonly kubernetes?: true;
  readonly listen?: string;
  readonly api: string;
  readonly webhook: string;
  readonly trustDomain?: string;
  readonly state?: string;
  readonly tokenKey?: string;
  readonly writeBundle?: string;
}

/** Milliseconds: five until no Service leads here any more, five to send proxies away; a pod has thirty seconds. */
const farewell = 5_000;
const drain = 5_000;

export const command = new Command('controller')
  .addOption(new Option('--kubernetes', 'the mesh of the cluster it runs in').conflicts('manifests'))
  .option('--manifests <folder...>', 'the mesh of folders of manifests; they are watched')
  .option('--listen <host:port>', 'for the proxies: certificates and discovery (default: port 15010)')
  .option('--api <host:port>', 'for the API; asks nobody who they are', '127.0.0.1:15014')
  .option('--webhook <host:port>', 'on Kubernetes, for admission reviews and probes', ':15017')
  .addOption(
    new Option('--trust-domain <name>', 'on Kubernetes: of a certificate authority that it makes')
      .argParser(parseTrustDomain)
      .conflicts('manifests'),
  )
  .option('--state <folder>', 'with --manifests: where the certificate authority is kept')
  .option('--token-key <file>', 'with --manifests: PEM of the public key that verifies workload tokens')
  .option('--write-bundle <file>', 'with --manifests: write the trust bundle to a file, for those who start sidecars')
  .addHelpText(
    'before',
    `Examples:
  $ meshwright controller --kubernetes
  $ meshwright controller --manifests dist --state /var/lib/meshwright --token-key sa.pub
`,
  )
  .action(async (options: Options) => {
    const told = new Promise<void>((resolve) => {
      process.once('SIGTERM', resolve);
      process.once('SIGINT', resolve);
    });
    const starting = options.kubernetes ? onKubernetes(options) : onFiles(options);
    const controller = await Promise.race([starting, told]);
    // It may wait for the API server for as long as it takes.
    if (!controller) process.exit(exitCode.ok);
    await told;
    await controller.close();
  });

function onKubernetes({ listen = ':15010', webhook, api: apiAddress, trustDomain }: Options) {
  const { POD_NAME, MESHWRIGHT_SIDECAR_IMAGE, MESHWRIGHT_LOG_LEVEL } = process.env;
  return startKubernetesController({
    api: openKubernetesApi(),
    listen,
    webhook,
    apiAddress,
    trustDomain,
    pod: POD_NAME || hostname(),
    sidecarImage: MESHWRIGHT_SIDECAR_IMAGE,
    farewell,
    drain,
    logger: pino({ level: MESHWRIGHT_LOG_LEVEL || 'info' }),
  });
}

async function onFiles({ manifests, listen = '127.0.0.1:15010', api, state, tokenKey, writeBundle }: Options) {
  if (!manifests || !state || !tokenKey) {
    throw usageError('say --kubernetes, or --manifests with --state and --token-key');
  }
  const controller = await startFileController({
    manifests,
    listen,
    api,
    stateDirectory: state,
    tokenPublicKeyPem: await readFile(tokenKey, 'utf8'),
    logger: pino(),
  });
  if (writeBundle) {
    await writeFile(`${writeBundle}.new`, controller.bundlePem);
    await rename(`${writeBundle}.new`, writeBundle);
  }
  return controller;
}
