import { Argument, Command } from 'commander';
import { bashScript, fishScript, zshScript } from './completion-scripts.ts';

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

export const command: Command = new Command('completion')
  .addArgument(new Argument('<shell>').choices(Object.keys(scripts)))
  .addHelpText(
    'before',
    'Examples:\n  $ source <(meshwright completion bash)\n  $ meshwright completion fish > ~/.config/fish/completions/meshwright.fish\n',
  )
  .action((shell: keyof typeof scripts) => {
    const all = command.parent?.commands ?? [];
    process.stdout.write(
      scripts[shell](
        all.map((one) => ({
          name: one.name(),
          summary: one.description(),
          options: one.options.map(({ long, description }) => ({ name: long ?? '', description })),
        })),
      ),
    );
  });
