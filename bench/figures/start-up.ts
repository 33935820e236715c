import { Bench, type Figure } from '../bench.ts';
import { Workspace } from '../host/workspace.ts';
import { inRounds } from '../rounds.ts';

const betweenTries = 5;

/** From the start of the process, with a certificate and configuration on its disk, until it takes traffic. */
export const startUp: Figure = {
  summary: 'time of ours from its start until /ready says so',
  async measure({ options }) {
    return inRounds([{ name: 'meshwright' }], [{ name: 'state on disk' }], options, async () => {
      const workspace = new Workspace();
      try {
        const [{ admin, processes }] = await new Bench(options, workspace).launch({ peers: [] });
        while (!(await isReady(admin!))) await new Promise((resolve) => setTimeout(resolve, betweenTries));
        return [{ figure: 'start-up', unit: 'ms', value: performance.now() - processes[0].started }];
      } finally {
        await workspace.close();
      }
    });
  },
};

async function isReady(admin: string): Promise<boolean> {
  try {
    return (await fetch(`${admin}/ready`)).ok;
  } catch {
    return false;
  }
}
