import { Command, CommanderError } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { exitCode } from './exit-code.ts';
import { report } from './report.ts';

interface Entry {
  readonly summary: string;
  /** The command is imported only when it is called: each brings what the others do not need. */
  readonly load: () => Promise<{ readonly command: Command }>;
}

/** Every command, in the order in which help shows them. */
const commands: Readonly<Record<string, Entry>> = {
  install: { summary: 'print what installs the control plane in a cluster', load: () => import('./install.ts') },
  check: { summary: 'say whether a cluster is as a mesh needs it', load: () => import('./check.ts') },
  'rotate-root': {
    summary: "have a cluster's mesh change its root certificate",
    load: () => import('./rotate-root.ts'),
  },
  up: { summary: 'run a mesh on this machine', load: () => import('./up.ts') },
  synth: { summary: 'write the manifests of a mesh', load: () => import('./synth.ts') },
  validate: { summary: 'say what is wrong with manifests', load: () => import('./validate.ts') },
  simulate: { summary: 'tell where a request would go, without sending it', load: () => import('./simulate.ts') },
  explain: { summary: 'tell which rules decide about a request, and why', load: () => import('./explain.ts') },
  stat: { summary: 'show how requests to services go', load: () => import('./stat.ts') },
  edges: { summary: 'show who calls whom', load: () => import('./edges.ts') },
  inject: { summary: 'put proxies into manifests of pods', load: () => import('./inject.ts') },
  sidecar: { summary: 'run the proxy of one workload', load: () => import('./sidecar.ts') },
  redirect: { summary: 'lead the connections of a pod through its proxy', load: () => import('./redirect.ts') },
  controller: { summary: 'run the control plane', load: () => import('./controller.ts') },
  completion: { summary: 'print a completion script for a shell', load: () => import('./completion.ts') },
};

const examples = `
Examples:
  $ meshwright up examples/shop           run the shop; then open the address it prints
  $ meshwright stat                       how requests go
  $ meshwright explain --from shop/web --to http://cart:7070/items -X DELETE
  $ meshwright synth examples/shop        the same mesh as manifests for Kubernetes
`;

/** Runs a command line and returns its exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const program = await createProgram(args[0] === 'help' ? args[1] : args[0]);
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode.ok;
  } catch (error) {
    // Commander has told what is wrong, or shown the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
    return report(error);
  }
}

/** The program with the options of one command; of the others it knows the names only. */
async function createProgram(wanted: string | undefined): Promise<Command> {
  const program = new Command('meshwright')
    .description('A service mesh that lives as TypeScript.')
    .version(packageJson.version)
    .usage('<command> [options]')
    .addHelpText('before', examples.trimStart())
    .exitOverride();
  for (const [name, { summary, load }] of Object.entries(commands)) {
    // Completion is about the options of all of them.
    if (name !== wanted && wanted !== 'completion') program.command(name).description(summary);
    else program.addCommand((await load()).command.description(summary).exitOverride());
  }
  return program;
}
