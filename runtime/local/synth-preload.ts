/*
 * Runs before an app, in the app's own process. Started ahead of need, it first imports what the app imports from
 * elsewhere (cdk8s and the like); of the app itself nothing is read before the order comes, so that the app runs as
 * it is by then. Node imports the app as its main module when this one is through.
 */
import { writeSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { reportDescriptor, type SynthOrder, type SynthReport } from './synthesizer.ts';

async function orderToRun(): Promise<Extract<SynthOrder, { kind: 'run' }>> {
  for await (const line of createInterface(process.stdin)) {
    const order = JSON.parse(line) as SynthOrder;
    if (order.kind === 'run') return order;
    // What cannot be imported shows when the app does it.
    for (const module of order.modules) await import(module).catch(() => undefined);
  }
  // `up` ended before it needed us.
  process.exit();
}

const { folder, outdir } = await orderToRun();
// An open standard input would keep the app from ending.
process.stdin.destroy();
process.env.CDK8S_OUTDIR = outdir;

const isOwn = (url: string | undefined) => url?.startsWith(folder) && !url.includes('/node_modules/');
const sources = new Set<string>();
const modules = new Set<string>();
registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context);
    if (isOwn(resolved.url)) sources.add(fileURLToPath(resolved.url));
    else if (isOwn(context.parentURL)) modules.add(resolved.url);
    return resolved;
  },
});
process.on('exit', () => {
  const report: SynthReport = { sources: [...sources], modules: [...modules] };
  writeSync(reportDescriptor, JSON.stringify(report));
});
