import { describe, expect, it } from '@jest/globals';
import { workloadName } from '../../runtime/resources/index.ts';

const owned = (kind: string, owner: string, labels = {}) => ({
  metadata: { name: `${owner}-x7k2p`, labels, ownerReferences: [{ kind, name: owner, controller: true }] },
});

describe('workloadName', () => {
  it('is what the label of the pod says, whoever owns it', () => {
    const labels = { 'meshwright.dev/workload': 'reviews-v1', 'pod-template-hash': '5d9' };
    expect(workloadName(owned('ReplicaSet', 'reviews-5d9', labels))).toBe('reviews-v1');
  });

  it('is the same for every rollout of a Deployment', () => {
    const of = (hash: string) => workloadName(owned('ReplicaSet', `reviews-${hash}`, { 'pod-template-hash': hash }));
    expect([of('5d9c'), of('7f6b')]).toStrictEqual(['reviews', 'reviews']);
  });

  it('is the whole name of a ReplicaSet that no Deployment made', () => {
    expect(workloadName(owned('ReplicaSet', 'reviews-5d9c'))).toBe('reviews-5d9c');
  });

  it.each(['StatefulSet', 'DaemonSet', 'Deployment', 'ReplicationController', 'CloneSet'])(
    'is the name of the %s that owns the pod',
    (kind) => {
      expect(workloadName(owned(kind, 'queue'))).toBe('queue');
    },
  );

  it('is the same for every run of a CronJob, and the name of any other Job', () => {
    const jobs = ['report-29384756', 'report-29384757', 'report-v2', 'report-1'];
    expect(jobs.map((job) => workloadName(owned('Job', job)))).toStrictEqual([
      'report',
      'report',
      'report-v2',
      'report-1',
    ]);
  });

  it('asks the owner that controls the pod, where there are several', () => {
    const ownerReferences = [
      { kind: 'ConfigMap', name: 'settings' },
      { kind: 'StatefulSet', name: 'queue', controller: true },
    ];
    expect(workloadName({ metadata: { name: 'queue-0', ownerReferences } })).toBe('queue');
  });

  it('is the name of a pod that nobody owns, or that a node does', () => {
    expect(workloadName({ metadata: { name: 'lonely' } })).toBe('lonely');
    expect(workloadName({ metadata: { ...owned('Node', 'worker-1').metadata, name: 'etcd-worker-1' } })).toBe(
      'etcd-worker-1',
    );
  });

  it('is the same before and after the API server gave a pod its name', () => {
    const before = { metadata: { generateName: 'debug-' } };
    const after = { metadata: { generateName: 'debug-', name: 'debug-x7k2p' } };
    expect([workloadName(before), workloadName(after)]).toStrictEqual(['debug', 'debug']);
  });
});
