import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LeaderElection } from '../../runtime/controller/kubernetes/leader-election.ts';
import { ApiError, type KubernetesApi } from '../../runtime/kubernetes/index.ts';
import { MemoryApi } from '../kubernetes/memory-api.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { silent } from './proxy.ts';

interface Lease {
  readonly holderIdentity: string;
  readonly leaseTransitions: number;
  readonly renewTime: string;
  readonly leaseDurationSeconds: number;
}

/** One process's way to the API server, which may be cut. */
class Network {
  state: 'open' | 'refused' | 'hanging' = 'open';
  readonly api: KubernetesApi;

  constructor(server: MemoryApi) {
    this.api = new Proxy(server, {
      get: (target, name) => {
        const method = target[name as 'read'].bind(target);
        return async (...given: Parameters<typeof method>) => {
          if (this.state === 'refused') throw new ApiError('no answer', { status: 0, reason: 'Unreachable' });
          while (this.state === 'hanging') await turns(1);
          return method(...given);
        };
      },
    });
  }
}

let clock: ManualClock;
let api: MemoryApi;
let events: string[];
const closing: LeaderElection[] = [];

function elector(identity: string, server: KubernetesApi = api): LeaderElection {
  const election = new LeaderElection({
    api: server,
    namespace: 'meshwright-system',
    name: 'meshwright-controller',
    identity,
    clock,
    random: () => 0,
    logger: silent,
    onLead: () => events.push(`${identity} leads`),
    onLose: () => events.push(`${identity} loses`),
  });
  closing.push(election);
  return election;
}

const lease = () => api.get('Lease', 'meshwright-controller')?.spec as Lease | undefined;
const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};
/** Lets time pass in small steps, with what it brings about. */
const pass = async (milliseconds: number) => {
  for (let passed = 0; passed < milliseconds; passed += 500) {
    clock.advance(500);
    await turns(6);
  }
};
const leads = async (identity: string) => {
  const election = elector(identity);
  election.start();
  await eventually(() => election.leading);
  return election;
};

beforeEach(() => {
  clock = new ManualClock();
  api = new MemoryApi(clock);
  events = [];
});

afterEach(async () => {
  api.down = false;
  api.intercept = () => {};
  for (const election of closing.splice(0)) await election.close();
});

describe('the election of a leader', () => {
  it('makes the first one lead, which renews its lease for as long as it runs', async () => {
    const a = await leads('a');
    const first = lease()!;
    expect(first).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 });
    expect(first.renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    elector('b').start();
    await pass(60_000);
    expect(a.leading).toBe(true);
    expect(lease()).toMatchObject({ holderIdentity: 'a', leaseTransitions: 0 });
    expect(Date.parse(lease()!.renewTime) - Date.parse(first.renewTime)).toBeGreaterThan(55_000);
    expect(events).toStrictEqual(['a leads']);
  });

  it('gives the lead over at once when the leader stops', async () => {
    const a = await leads('a');
    elector('b').start();
    await pass(4_000);
    await a.close();
    expect(events).toStrictEqual(['a leads', 'a loses']);
    await pass(2_500);
    expect(events).toStrictEqual(['a leads', 'a loses', 'b leads']);
    expect(lease()).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
  });

  it('lets nobody lead for the whole of a lease whose holder died, whatever the clocks say', async () => {
    api.put({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'meshwright-controller', namespace: 'meshwright-system' },
      spec: { holderIdentity: 'dead', leaseDurationSeconds: 15, renewTime: '1999-01-01T00:00:00.000000Z' },
    });
    const a = elector('a');
    a.start();
    await pass(14_000);
    expect(a.leading).toBe(false);
    await pass(4_000);
    expect(a.leading).toBe(true);
  });

  it.each(['refused', 'hanging'] as const)(
    'ends a lead before another one begins, with the network %s',
    async (how) => {
      const network = new Network(api);
      const a = elector('a', network.api);
      a.start();
      await eventually(() => a.leading);
      elector('b').start();
      await pass(4_000);
      network.state = how;
      const since = clock.now();
      const at = async (event: string) => {
        for (let step = 0; step < 80 && !events.includes(event); step++) await pass(500);
        return clock.now();
      };
      const lost = await at('a loses');
      const led = await at('b leads');
      expect(lost - since).toBeLessThanOrEqual(10_500);
      expect(led - lost).toBeGreaterThanOrEqual(4_500);
      network.state = 'open';
      await pass(4_000);
      expect(events).toStrictEqual(['a leads', 'a loses', 'b leads']);
      expect(lease()).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
    },
  );

  it('does not lead by an answer that came too late', async () => {
    const network = new Network(api);
    const a = elector('a', network.api);
    network.state = 'hanging';
    a.start();
    await turns(5);
    clock.advance(11_000);
    network.state = 'open';
    await turns(8);
    expect(lease()).toMatchObject({ holderIdentity: 'a' });
    expect(a.leading).toBe(false);
    await pass(2_500);
    expect(a.leading).toBe(true);
  });

  it('has one winner where several ask at the same moment', async () => {
    const all = ['a', 'b', 'c', 'd'].map((identity) => elector(identity));
    for (const election of all) election.start();
    await pass(20_000);
    expect(events).toHaveLength(1);
    expect(all.filter(({ leading }) => leading)).toHaveLength(1);
  });

  it('goes on after answers that make no sense, and after the lease was removed', async () => {
    const a = await leads('a');
    api.delete('Lease', 'meshwright-controller');
    await pass(2_500);
    expect(lease()).toMatchObject({ holderIdentity: 'a' });
    api.put({ ...api.get('Lease', 'meshwright-controller')!, spec: { holderIdentity: 7 } });
    await pass(12_000);
    expect(a.leading).toBe(false);
    api.put({ ...api.get('Lease', 'meshwright-controller')!, spec: {} });
    await pass(2_500);
    expect(a.leading).toBe(true);
  });

  it('takes nothing from another one when it stops', async () => {
    const a = await leads('a');
    const stolen = { ...api.get('Lease', 'meshwright-controller')! };
    api.put({ ...stolen, spec: { holderIdentity: 'b', leaseDurationSeconds: 15 } });
    await a.close();
    expect(lease()).toMatchObject({ holderIdentity: 'b' });
  });
});
