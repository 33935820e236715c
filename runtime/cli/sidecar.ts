import { Command } from 'commander';
import { pino } from 'pino';
import { readBootstrap, runSidecar } from '../proxy/index.ts';

export const command = new Command('sidecar')
  .requiredOption('--config <file>', 'its bootstrap document')
  .addHelpText('before', 'Examples:\n  $ meshwright sidecar --config bootstrap.json\n')
  .action(async ({ config }: { config: string }) => {
    const quit = Promise.withResolvers<void>();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => quit.resolve());
    const sidecar = await runSidecar(await readBootstrap(config), { logger: pino(), onQuit: quit.resolve });
    // A port that cannot be had ends the process; who started it tries again.
    await Promise.race([quit.promise, sidecar.ready.then(() => quit.promise)]);
    await sidecar.close();
  });
