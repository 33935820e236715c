import { readFile, rename, writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { pino } from 'pino';
import { startController } from '../controller/index.ts';

interface Options {
  readonly manifests: string[];
  readonly listen: string;
  readonly api: string;
  readonly state: string;
  readonly tokenKey: string;
  readonly writeBundle?: string;
}

export const command = new Command('controller')
  .requiredOption('--manifests <folder...>', 'folders of manifests; they are watched')
  .option('--listen <host:port>', 'for the proxies: certificates and discovery', '127.0.0.1:15010')
  .option('--api <host:port>', 'for the API; asks nobody who they are', '127.0.0.1:15014')
  .requiredOption('--state <folder>', 'where the certificate authority is kept')
  .requiredOption('--token-key <file>', 'PEM of the public key that verifies workload tokens')
  .option('--write-bundle <file>', 'write the trust bundle to a file, for those who start sidecars')
  .addHelpText(
    'before',
    'Examples:\n  $ meshwright controller --manifests dist --state /var/lib/meshwright --token-key sa.pub\n',
  )
  .action(async ({ manifests, listen, api, state, tokenKey, writeBundle }: Options) => {
    const controller = await startController({
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
    await new Promise<void>((resolve) => {
      process.once('SIGTERM', resolve);
      process.once('SIGINT', resolve);
    });
    await controller.close();
  });
