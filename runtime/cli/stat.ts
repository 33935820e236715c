import { Command } from 'commander';
import { askController } from '../local/index.ts';
import { type OutputFormat, outputOption, print } from './output.ts';
import { theRunningMesh } from './running-mesh.ts';
import { formatServiceStats } from './traffic-table.ts';

export const command = new Command('stat')
  .option('--admin <url>', "the controller's API; else that of the mesh that runs here")
  .addOption(outputOption())
  .addHelpText('before', 'Examples:\n  $ meshwright stat\n  $ meshwright stat -o json | jq .\n')
  .action(async ({ admin, output }: { admin?: string; output: OutputFormat }) => {
    print(await askController(admin ?? theRunningMesh().admin, 'stats'), output, formatServiceStats);
  });
