import { Bench, type Figure } from '../bench.ts';
import { memoryOf } from '../host/process-memory.ts';
import { findVegeta } from '../host/tools.ts';
import { Workspace } from '../host/workspace.ts';
import { runVegeta } from '../load/vegeta.ts';
import type { Pair } from '../pairs/pair.ts';
import { inRounds, type Reading } from '../rounds.ts';

const rate = 1000;
const idleSeconds = 5;
const loads = [
  { name: '1 service', services: 0 },
  { name: '1001 services', services: 1000 },
] as const;

/** What one sidecar holds: ours is that of the caller, Envoy's has both hops in one process. */
export const memory: Figure = {
  summary: `private and resident memory of one sidecar: idle, at ${rate} rps, with 1000 more services known`,
  async measure({ options }) {
    const subjects = ['meshwright', ...options.peers].map((name) => ({ name }));
    return inRounds(subjects, loads, options, async ({ name }, { services }) => {
      // Memory is that of fresh processes, each time.
      const workspace = new Workspace();
      try {
        const vegeta = await findVegeta(workspace, options.progress);
        const peers = name === 'meshwright' ? [] : [name];
        const pairs = await new Bench(options, workspace).start({ services, peers });
        const pair = pairs.find((one) => one.name === name);
        if (!pair) return [];
        await new Promise((resolve) => setTimeout(resolve, idleSeconds * 1000));
        const idle = readingsOf(pair, 'idle');
        await runVegeta(workspace, vegeta, { url: pair.url, rate, seconds: options.seconds });
        return [...idle, ...readingsOf(pair, `at-${rate}-rps`)];
      } finally {
        await workspace.close();
      }
    });
  },
};

function readingsOf({ processes }: Pair, when: string): Reading[] {
  const { private: own, resident } = memoryOf(processes[0].pid);
  return [
    { figure: `private-memory-${when}`, unit: 'MB', value: own / 1e6 },
    { figure: `resident-memory-${when}`, unit: 'MB', value: resident / 1e6 },
  ];
}
