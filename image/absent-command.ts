import { Command } from 'commander';
import { CommandError, exitCode } from '../runtime/cli/exit-code.ts';

/** Stands in the image for a command that needs the sources of a mesh and the packages they import. */
export function absentCommand(name: string): Command {
  return new Command(name)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => {
      const why = `meshwright ${name} needs the sources of a mesh and the packages they import; the image has neither`;
      throw new CommandError(`${why}: run it in the folder of your package.json`, exitCode.usage);
    });
}
