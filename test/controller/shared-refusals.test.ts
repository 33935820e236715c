import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SharedRefusals } from '../../runtime/controller/kubernetes/shared-refusals.ts';
import { ApiError } from '../../runtime/kubernetes/index.ts';
import { MemoryApi } from '../kubernetes/memory-api.ts';
import { ManualClock } from '../support/manual-clock.ts';

let clock: ManualClock;
let api: MemoryApi;
let leader: string;
const opened: SharedRefusals[] = [];

beforeEach(() => {
  clock = new ManualClock();
  api = new MemoryApi(clock);
  leader = 'a';
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

function start(pod: string, refused: Record<string, string> = {}) {
  const state = { refused };
  const shared = new SharedRefusals({
    api,
    namespace: 'meshwright-system',
    pod,
    own: () => new Map(Object.entries(state.refused)),
    isLeader: () => leader === pod,
    clock,
    random: () => 0,
    logger: { info() {}, warn() {} },
  });
  opened.push(shared);
  shared.start();
  return { shared, state, told: () => Object.fromEntries(shared.others) };
}

/** Lets time pass, and everybody do what comes of it. */
async function pass(milliseconds: number): Promise<void> {
  for (let left = milliseconds; left > 0; left -= 1_000) {
    clock.advance(Math.min(left, 1_000));
    for (let turn = 0; turn < 12; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

const data = () => api.get('ConfigMap', 'meshwright-controller-refusals')?.data as Record<string, string> | undefined;
const writes = () => api.calls.filter(({ verb }) => verb === 'create' || verb === 'replace').length;

describe('what controllers tell their leader', () => {
  it('arrives, changes and goes', async () => {
    const a = start('a');
    const b = start('b', { 'service shop/one': 'no' });
    const c = start('c', { 'service shop/two': 'no either', 'service shop/one': 'no, says c' });
    await pass(8_000);
    expect(a.told()).toEqual({ 'service shop/one': 'no', 'service shop/two': 'no either' });
    expect([b.told(), c.told()]).toEqual([{}, {}]);
    b.state.refused = {};
    await pass(4_000);
    expect(a.told()).toEqual({ 'service shop/one': 'no, says c', 'service shop/two': 'no either' });
    c.state.refused = {};
    await pass(4_000);
    expect([a.told(), data()]).toEqual([{}, {}]);
  });

  it('is nothing as long as nobody refuses anything, and costs no write', async () => {
    start('a');
    start('b');
    await pass(60_000);
    expect([data(), writes()]).toEqual([undefined, 0]);
    expect(api.calls.length).toBeLessThan(40);
  });

  it('goes to whoever leads', async () => {
    const a = start('a', { 'service shop/one': 'a says' });
    const b = start('b', { 'service shop/two': 'b says' });
    await pass(6_000);
    expect(a.told()).toEqual({ 'service shop/two': 'b says' });
    leader = 'b';
    await pass(6_000);
    expect([a.told(), b.told()]).toEqual([{}, { 'service shop/one': 'a says' }]);
  });

  it('is forgotten a minute after its controller was last heard of, and not before', async () => {
    const a = start('a');
    const b = start('b', { 'service shop/one': 'no' });
    await pass(90_000);
    expect(a.told()).toEqual({ 'service shop/one': 'no' });
    // As if it had been killed: nothing that it tells arrives any more.
    api.intercept = ({ verb }) => {
      if (verb === 'replace') throw new ApiError('connect ECONNREFUSED', { status: 0, reason: 'Unreachable' });
    };
    await pass(38_000);
    expect(a.told()).toEqual({ 'service shop/one': 'no' });
    await pass(30_000);
    expect(a.told()).toEqual({});
    b.state.refused = {};
    api.intercept = () => {};
    await pass(3_000);
    expect(data()).toEqual({});
  });

  it('is taken back by a controller that starts anew in the same pod, or stops', async () => {
    const a = start('a');
    const b = start('b', { 'service shop/one': 'no' });
    await pass(6_000);
    await b.shared.close();
    expect(data()).toEqual({});
    api.put({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'meshwright-controller-refusals', namespace: 'meshwright-system' },
      data: { c: '{"renewed":"","refusals":{"service shop/one":"of before"}}' },
    });
    await pass(4_000);
    expect(a.told()).toEqual({ 'service shop/one': 'of before' });
    start('c');
    await pass(4_000);
    expect([a.told(), data()]).toEqual([{}, {}]);
  });

  it('may be anything, and is bounded', async () => {
    const a = start('a');
    api.put({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'meshwright-controller-refusals', namespace: 'meshwright-system' },
      data: { x: 'by hand', y: '{"refusals":[]}' },
    });
    start('b', Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`service shop/${1000 + index}`, 'no'])));
    await pass(6_000);
    expect(Object.keys(a.told())).toHaveLength(50);
  });

  it('goes on when the API server was away', async () => {
    const a = start('a');
    start('b', { 'service shop/one': 'no' });
    api.down = true;
    await pass(6_000);
    api.down = false;
    await pass(6_000);
    expect(a.told()).toEqual({ 'service shop/one': 'no' });
  });
});
