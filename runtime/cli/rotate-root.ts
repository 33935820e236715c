import { Command } from 'commander';
import { SecretAuthorityStore } from '../controller/index.ts';
import { defaultOverlap, inspectAuthority, phaseEnd } from '../identity/authority.ts';
import { openKubernetesApi } from '../kubernetes/index.ts';
import { FindingsError, finding } from '../model/index.ts';
import { controlPlane } from '../resources/index.ts';

interface Options {
  readonly status?: true;
  readonly kubeconfig?: string;
  readonly context?: string;
}

const phases = {
  steady: { now: 'nothing is being changed', next: '' },
  announced: { now: 'the old and the new root are believed, the old one signs', next: 'the new root signs' },
  retiring: {
    now: 'the old and the new root are believed, the new one signs',
    next: 'the old root is not believed any more',
  },
} as const;

export const command = new Command('rotate-root')
  .option('--status', 'ask for nothing, say only where it is')
  .option('--kubeconfig <file>', 'else $KUBECONFIG, else ~/.kube/config')
  .option('--context <name>', 'else the current one of the kubeconfig')
  .addHelpText('before', 'Examples:\n  $ meshwright rotate-root\n  $ meshwright rotate-root --status\n')
  .action(async ({ status, kubeconfig, context }: Options) => {
    const api = openKubernetesApi({ kubeconfig, context });
    try {
      const store = new SecretAuthorityStore({ api, namespace: controlPlane.namespace });
      if (!status) await askForRoot(store, Date.now());
      process.stdout.write(await rootStatus(store, Date.now()));
    } finally {
      api.close();
    }
  });

/** Asks the leading controller for a new root. Rejects with a `FindingsError` where there cannot be one now. */
export async function askForRoot(store: SecretAuthorityStore, now: number): Promise<void> {
  const { managed, files } = await readAuthority(store);
  const refuse = (message: string, hint: string) =>
    new FindingsError([finding('MW1611', { object: store.source, message, hint })]);
  if (!managed) {
    throw refuse(
      'this authority is not one that Meshwright made',
      'renew it where it comes from; see docs/identity.md',
    );
  }
  if (files.rotation) {
    throw refuse('a change of root is under way', 'wait for its end: meshwright rotate-root --status');
  }
  if (!(await store.requestRotation(now))) {
    throw refuse('the Secret was changed by somebody else at the same moment', 'try again');
  }
}

/** Where a change of root is, for people. */
export async function rootStatus(store: SecretAuthorityStore, now: number): Promise<string> {
  const { managed, rotationRequested, files } = await readAuthority(store);
  const { description, findings } = inspectAuthority(files, { now, source: store.source });
  const date = (time: number) => new Date(time).toISOString();
  const end = phaseEnd(files, { overlap: defaultOverlap });
  const { issuer, roots, phase } = description;
  const lines = [
    row('authority', `${issuer.subject}, until ${date(issuer.notAfter)}`),
    row('made by', managed ? 'Meshwright, which renews it' : 'its user, who renews it'),
    ...roots.map((root) => row('root', `${root.subject}, until ${date(root.notAfter)}, ${root.fingerprint}`)),
    ...findings.map(({ id, severity, message }) => row(severity, `${id} ${message}`)),
    row('now', phases[phase].now),
  ];
  if (end !== undefined) lines.push(row('next', `${phases[phase].next}, at ${date(end)}`));
  else if (rotationRequested && managed) lines.push(row('next', 'a new root is announced, within a minute'));
  return lines.join('');
}

function row(name: string, text: string): string {
  return `${name.padEnd(9)}  ${text}\n`;
}

async function readAuthority(store: SecretAuthorityStore) {
  const stored = await store.read();
  if (stored) return stored;
  throw new FindingsError([
    finding('MW1610', {
      object: store.source,
      message: 'it is not there',
      hint: 'the first controller makes it: meshwright install, then meshwright check',
    }),
  ]);
}
