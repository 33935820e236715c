import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { readManifests } from '../local/index.ts';
import { formatFinding } from '../model/index.ts';
import { translate } from '../translate/index.ts';
import { CommandError, exitCode, usageError } from './exit-code.ts';
import { hasErrors } from './findings.ts';
import { type OutputFormat, outputOption, print } from './output.ts';

export const command = new Command('validate')
  .argument('<folder...>', 'folders of manifests')
  .addOption(outputOption())
  .addHelpText('before', 'Examples:\n  $ meshwright validate dist\n  $ meshwright validate dist -o json\n')
  .action((folders: string[], { output }: { output: OutputFormat }) => {
    for (const folder of folders) if (!existsSync(folder)) throw usageError(`${folder} is not there`);
    const { objects, findings } = readManifests(folders);
    const all = [...findings, ...translate(objects).findings];
    // What was found is what was asked for: data, not progress.
    print(all, output, (list) => list.map(formatFinding).join('\n') || 'no findings');
    if (hasErrors(all)) throw new CommandError('', exitCode.findings);
  });
