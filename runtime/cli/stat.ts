import { Command } from 'commander';
import { askController } from '../local/index.ts';
import { type OutputFormat, outputOption, print } from './output.ts';
import { theRunningMesh } from './running-mesh.ts';
import { formatStats } from './traffic-table.ts';

export const command = new Command('stat')
  .option('--admin <url>', "the controller's API; else that of the mesh that runs here")
  .addOption(outputOption())
  .addHelpText('before', 'Examples:\n  $ meshwright stat\n  $ meshwright stat -o json | jq .\n')
  .action(async ({ admin, output }: { admin?: string; output: OutputFormat }) => {
    const api = admin ?? theRunningMesh().admin;
    const [services, policies] = await Promise.all([askController(api, 'stats'), askController(api, 'policies')]);
    print({ services, ...policies }, output, formatStats);
  });
