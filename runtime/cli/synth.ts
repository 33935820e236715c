import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { locateApp, readManifests, Synthesizer } from '../local/index.ts';
import { systemClock } from '../model/index.ts';
import type { Manifest } from '../resources/index.ts';
import { translate } from '../translate/index.ts';
import { CommandError, exitCode } from './exit-code.ts';
import { hasErrors, printFindings } from './findings.ts';
import { isEmpty } from './manifests.ts';

export const command = new Command('synth')
  .argument('[app]', 'folder with a main.ts, or a file', '.')
  .option('--output-dir <folder>', 'where to write the manifests', 'dist')
  .addHelpText(
    'before',
    'Examples:\n  $ meshwright synth examples/shop\n  $ meshwright synth . --output-dir manifests\n',
  )
  .action(async (path: string, { outputDir }: { outputDir: string }) => {
    const folder = resolve(outputDir);
    const { objects, findings } = await synthesise(path, folder);
    const all = [...findings, ...translate(objects).findings];
    printFindings(all);
    if (hasErrors(all)) throw new CommandError('', exitCode.findings);
    process.stderr.write(`${objects.length} objects in ${outputDir}\n`);
  });

/** Runs an app; it writes its manifests to `folder`, and what is there then is read. */
export async function synthesise(path: string, folder: string): Promise<Manifest> {
  mkdirSync(folder, { recursive: true });
  const synthesizer = new Synthesizer(locateApp(path), {
    clock: systemClock,
    onOutput: (text) => process.stderr.write(text),
  });
  try {
    const { findings } = await synthesizer.run(folder);
    printFindings(findings);
    if (findings.length > 0) throw new CommandError('', exitCode.findings);
  } finally {
    synthesizer.close();
  }
  const manifest = readManifests([folder]);
  if (!isEmpty(manifest)) return manifest;
  throw new CommandError(
    `${path} wrote no manifests\n    fix: let the app write them to $CDK8S_OUTDIR (app.synth() does)`,
  );
}
