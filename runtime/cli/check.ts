import { Command, InvalidArgumentError, Option } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { openKubernetesApi } from '../kubernetes/index.ts';
import { systemClock } from '../model/index.ts';
import { lookAt } from './check/cluster-view.ts';
import { after, before } from './check/index.ts';
import { type CheckFormat, CheckReport } from './check/report.ts';
import { runChecks } from './check/run.ts';
import { CommandError, exitCode } from './exit-code.ts';

interface Options {
  readonly pre?: true;
  readonly output: CheckFormat;
  readonly wait: number;
  readonly kubeconfig?: string;
  readonly context?: string;
}

export const command = new Command('check')
  .option('--pre', 'whether a cluster is ready for the control plane')
  .addOption(new Option('-o, --output <format>', 'how to print').choices(['table', 'short', 'json']).default('table'))
  .option('--wait <duration>', 'how long to wait for what may come right by itself: 30s, 5m', parseWait, 0)
  .option('--kubeconfig <file>', 'else $KUBECONFIG, else ~/.kube/config')
  .option('--context <name>', 'else the current one of the kubeconfig')
  .addHelpText(
    'before',
    `Examples:
  $ meshwright check --pre          before it is installed
  $ meshwright check --wait 5m      after
  $ meshwright check -o json | jq -r '.categories[].checks[] | select(.result == "error") | .id'
`,
  )
  .action(async ({ pre, output, wait, kubeconfig, context }: Options) => {
    const api = openKubernetesApi({ kubeconfig, context });
    // The timers of a wait do not.
    const alive = setInterval(() => undefined, 60_000);
    const report = new CheckReport(output, (text) => process.stdout.write(text));
    let reached = false;
    try {
      const results = runChecks(pre ? before : after, {
        look: () => lookAt(api),
        clock: systemClock,
        version: packageJson.version,
        wait,
        onWaiting: ({ description }, { message }) => process.stderr.write(`waiting until ${description}: ${message}\n`),
      });
      for await (const result of results) {
        report.add(result);
        reached ||= result.result === 'ok';
      }
    } finally {
      clearInterval(alive);
      api.close();
    }
    report.end();
    if (!reached) throw new CommandError('');
    if (report.count('error') > 0) throw new CommandError('', exitCode.findings);
  });

const units = { h: 3_600_000, m: 60_000, s: 1000 } as const;

function parseWait(text: string): number {
  const [, count, unit] = /^(\d{1,5})(h|m|s)$/.exec(text) ?? [];
  if (!unit) throw new InvalidArgumentError('Allowed are durations such as 30s and 5m.');
  return Number(count) * units[unit as keyof typeof units];
}
