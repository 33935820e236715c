import { Command } from 'commander';
import { CommandError, exitCode } from '../runtime/cli/exit-code.ts';

/** Stands in the image for a command that needs the sources of a mesh and the packages they import. */
export const command = new Command()
  .allowUnknownOption()
  .allowExcessArguments()
  .action(() => {
    throw new CommandError(
      'this command needs the sources of a mesh and is not in the image: run it in the folder of your package.json',
      exitCode.usage,
    );
  });
