#!/usr/bin/env node
// Nothing is imported before the check: an old Node would stop at the first file with a message that helps nobody.
const oldest = 24;
if (Number.parseInt(process.versions.node, 10) < oldest) {
  process.stderr.write(`meshwright needs Node ${oldest} or newer; this is ${process.version} (${process.execPath})\n`);
  process.exitCode = 1;
} else {
  const args = process.argv.slice(2);
  // What runs in every pod has no options: it does without what parses them, and its memory.
  const served = ['sidecar', 'sidecar --worker'].includes(args.join(' '));
  const { run } = await (served ? import('./serve.ts') : import('./program.ts'));
  process.exitCode = await run(args);
}
