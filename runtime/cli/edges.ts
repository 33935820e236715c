import { Command } from 'commander';
import { askController } from '../local/index.ts';
import { type OutputFormat, outputOption, print } from './output.ts';
import { theRunningMesh } from './running-mesh.ts';
import { formatEdges } from './traffic-table.ts';

export const command = new Command('edges')
  .option('--admin <url>', "the controller's API; else that of the mesh that runs here")
  .addOption(outputOption())
  .addHelpText('before', 'Examples:\n  $ meshwright edges\n  $ meshwright edges -o yaml\n')
  .action(async ({ admin, output }: { admin?: string; output: OutputFormat }) => {
    print(await askController(admin ?? theRunningMesh().admin, 'edges'), output, formatEdges);
  });
