import { Command } from 'commander';
import { formatFinding } from '../model/index.ts';
import { translate } from '../translate/index.ts';
import { CommandError, exitCode } from './exit-code.ts';
import { hasErrors } from './findings.ts';
import { readFolder } from './manifests.ts';
import { type OutputFormat, outputOption, print } from './output.ts';

export const command = new Command('validate')
  .argument('<folder...>', 'folders of manifests')
  .addOption(outputOption())
  .addHelpText('before', 'Examples:\n  $ meshwright validate dist\n  $ meshwright validate dist -o json\n')
  .action((folders: string[], { output }: { output: OutputFormat }) => {
    const manifests = folders.map(readFolder);
    const objects = manifests.flatMap((manifest) => manifest.objects);
    const all = [...manifests.flatMap(({ findings }) => findings), ...translate(objects).findings];
    // What was found is what was asked for: data, not progress.
    print(all, output, (list) => list.map(formatFinding).join('\n') || `no findings in ${objects.length} objects`);
    if (hasErrors(all)) throw new CommandError('', exitCode.findings);
  });
