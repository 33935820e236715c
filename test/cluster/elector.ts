import { LeaderElection } from '../../runtime/controller/kubernetes/leader-election.ts';
import { openKubernetesApi } from '../../runtime/kubernetes/index.ts';
import { systemClock } from '../../runtime/model/index.ts';

/** A process that wants to lead, and says on standard output when it does: `elector.ts <kubeconfig> <identity>`. */
const [kubeconfig, identity] = process.argv.slice(2);
const say = (text: string) => process.stdout.write(`${text}\n`);
const election = new LeaderElection({
  api: openKubernetesApi({ kubeconfig }),
  namespace: 'default',
  name: 'test-election',
  identity,
  clock: systemClock,
  random: Math.random,
  logger: { info: () => {}, warn: (details, message) => say(`${message} ${JSON.stringify(details)}`) },
  onLead: () => say('leads'),
  onLose: () => say('loses'),
});
election.start();
// Its timers keep no process alive.
const alive = setInterval(() => {}, 1_000);
process.once('SIGTERM', async () => {
  await election.close();
  clearInterval(alive);
  process.exit();
});
