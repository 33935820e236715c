import { Command } from 'commander';
import { pino } from 'pino';
import { type Bootstrap, parseBootstrapText, readBootstrap, runSidecar } from '../proxy/index.ts';
import { exitCode, usageError } from './exit-code.ts';

/** Where a pod's definition has the bootstrap document, so that Kubernetes can put the pod's name and address in. */
const variable = 'MESHWRIGHT_BOOTSTRAP';

export const command = new Command('sidecar')
  .option('--config <file>', `its bootstrap document; else that of the environment variable ${variable}`)
  .addHelpText('before', 'Examples:\n  $ meshwright sidecar --config bootstrap.json\n')
  .action(async ({ config }: { config?: string }) => {
    const quit = Promise.withResolvers<void>();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => quit.resolve());
    const sidecar = await runSidecar(await bootstrapOf(config), { logger: pino(), onQuit: quit.resolve });
    // One that never got ready has failed, so that Kubernetes shows its last words.
    process.exitCode = exitCode.failure;
    const ready = sidecar.ready.then(() => {
      process.exitCode = exitCode.ok;
    });
    // A port that cannot be had ends the process; who started it tries again.
    await Promise.race([quit.promise, ready.then(() => quit.promise)]);
    await sidecar.close();
  });

async function bootstrapOf(file: string | undefined): Promise<Bootstrap> {
  if (file !== undefined) return readBootstrap(file);
  const text = process.env[variable];
  if (!text) throw usageError(`there is no bootstrap document: give --config or set ${variable}`);
  return parseBootstrapText(text, variable);
}
