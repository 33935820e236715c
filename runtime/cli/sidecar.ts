import { Command, Option } from 'commander';
import { bootstrapVariable } from '../model/index.ts';
import { serve } from './serve.ts';

export const command = new Command('sidecar')
  .option('--config <file>', `its bootstrap document; else that of the environment variable ${bootstrapVariable}`)
  .option(
    '--concurrency <n>',
    'processes that share its connections; else what the bootstrap document says, or 1',
    Number,
  )
  .addOption(new Option('--worker', 'one of these processes; started by the first').hideHelp())
  .addHelpText('before', 'Examples:\n  $ meshwright sidecar --config bootstrap.json\n')
  .action(serve);
