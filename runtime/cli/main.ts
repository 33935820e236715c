#!/usr/bin/env node
// Nothing is imported before the check: an old Node would stop at the first file with a message that helps nobody.
const oldest = 24;
if (Number.parseInt(process.versions.node, 10) < oldest) {
  process.stderr.write(`meshwright needs Node ${oldest} or newer; this is ${process.version} (${process.execPath})\n`);
  process.exitCode = 1;
} else {
  const { run } = await import('./program.ts');
  process.exitCode = await run(process.argv.slice(2));
}
