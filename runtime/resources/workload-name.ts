import { labels } from './names.ts';

/** What a name is taken from; a Pod that is being admitted may have no name of its own yet. */
interface NamedPod {
  readonly metadata: {
    readonly name?: string;
    readonly generateName?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly {
      readonly kind: string;
      readonly name: string;
      readonly controller?: boolean;
    }[];
  };
}

/** Put on the pods of a Deployment, and at the end of its ReplicaSet's name. */
const templateHash = 'pod-template-hash';

/**
 * The workload a Pod belongs to, so that it keeps its name from one rollout, or run of a CronJob, to the next: the
 * label {@link labels.workload}, else the name of what owns the Pod, without what differs between versions of that;
 * else the Pod's own.
 */
export function workloadName({ metadata }: NamedPod): string {
  const { name = '', generateName, labels: podLabels = {}, ownerReferences = [] } = metadata;
  if (podLabels[labels.workload]) return podLabels[labels.workload];
  const owner = ownerReferences.find(({ controller }) => controller) ?? ownerReferences[0];
  switch (owner?.kind) {
    case undefined:
    // A node owns the static pods that its kubelet started.
    case 'Node':
      return generateName ? generateName.replace(/-$/, '') : name;
    case 'ReplicaSet':
      return withoutEnd(owner.name, `-${podLabels[templateHash]}`);
    case 'Job':
      // A CronJob names its jobs by the minute they were planned for.
      return owner.name.replace(/-\d{8,}$/, '');
    default:
      return owner.name;
  }
}

function withoutEnd(text: string, end: string): string {
  return text.endsWith(end) ? text.slice(0, -end.length) : text;
}
