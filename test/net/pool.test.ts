import { describe, expect, test } from '@jest/globals';
import type { ClientConnection, ClientConnectionOwner, Connection } from '../../runtime/net/index.ts';
import { ConnectionPool, type PoolOptions, type PoolWaiter } from '../../runtime/net/index.ts';
import { MemoryConnection } from './http1/support.ts';

/** A connection that takes `streams` requests at once, answered when a test says so. */
class FakeClient implements ClientConnection {
  readonly #owner: ClientConnectionOwner;
  streams: number;
  active = 0;
  state: 'open' | 'drained' | 'destroyed' = 'open';

  constructor(owner: ClientConnectionOwner, streams: number) {
    this.#owner = owner;
    this.streams = streams;
  }

  get capacity(): number {
    return this.state === 'open' ? this.streams - this.active : 0;
  }

  request() {
    this.active++;
    return { write: () => true, end() {}, reset() {}, pause() {}, resume() {} };
  }

  answer(): void {
    this.active--;
    this.#owner.onCapacity(this);
  }

  drain(): void {
    this.state = 'drained';
    if (this.active === 0) this.#owner.onRetire(this);
  }

  destroy(): void {
    this.state = 'destroyed';
    this.#owner.onRetire(this);
  }
}

/** A pool whose connections are made, or fail, when a test says so. */
function poolOf(options: Partial<PoolOptions> = {}, streams = 1) {
  const attempts: ((error: Error | undefined, connection: Connection | undefined) => void)[] = [];
  const clients: FakeClient[] = [];
  const events: string[] = [];
  const bounds = { maxConnections: 2, maxPending: 3, expectedCapacity: streams, ...options };
  const pool = new ConnectionPool({
    get maxConnections() {
      return bounds.maxConnections;
    },
    get maxPending() {
      return bounds.maxPending;
    },
    expectedCapacity: bounds.expectedCapacity,
    mayConnect: bounds.mayConnect,
    connect: (callback) => attempts.push(callback),
    speak: (_connection, owner) => {
      const client = new FakeClient(owner, streams);
      clients.push(client);
      return client;
    },
  });
  const waiter = (name: string, onQueue?: () => Error | undefined): PoolWaiter => ({
    onConnection(connection) {
      connection.request({ method: 'GET', scheme: 'http', authority: 'a', path: '/', headers: [] }, true, nobody);
      events.push(`${name} on ${clients.indexOf(connection as FakeClient)}`);
    },
    onUnavailable: ({ message }) => events.push(`${name}: ${message}`),
    ...(onQueue && { onQueue }),
  });
  return {
    pool,
    bounds,
    attempts,
    clients,
    waiter,
    ask: (...names: string[]) => {
      for (const name of names) pool.acquire(waiter(name));
    },
    /** The oldest attempt gives a connection. */
    connected: () => attempts.shift()!(undefined, new MemoryConnection()),
    failed: (message: string) => attempts.shift()!(new Error(message), undefined),
    /** What happened since it was last asked. */
    told: () => events.splice(0),
  };
}

const nobody = { onInformational() {}, onResponse() {}, onData() {}, onEnd() {}, onReset() {}, onDrain() {} };

describe('a pool of connections', () => {
  test('makes one for who asks, and keeps it for the next', () => {
    const { pool, ask, connected, clients, attempts, told } = poolOf();
    ask('a');
    expect([attempts.length, pool.size, pool.opening, told()]).toEqual([1, 0, 1, []]);
    connected();
    expect([pool.size, pool.opening, pool.active, told()]).toEqual([1, 0, 1, ['a on 0']]);
    clients[0].answer();
    ask('b');
    expect([attempts.length, told()]).toEqual([0, ['b on 0']]);
  });

  test('makes no more than it may; who comes then waits its turn', () => {
    const { ask, connected, clients, attempts, told } = poolOf({ maxConnections: 2, maxPending: 10 });
    ask('a', 'b', 'c', 'd');
    expect(attempts).toHaveLength(2);
    connected();
    connected();
    expect(told()).toEqual(['a on 0', 'b on 1']);
    clients[1].answer();
    clients[0].answer();
    expect([attempts.length, told()]).toEqual([0, ['c on 1', 'd on 0']]);
  });

  test('lets no more wait than it may, and tells the next one at once', () => {
    const { ask, connected, clients, told } = poolOf({ maxConnections: 1, maxPending: 2 });
    ask('a', 'b', 'c');
    expect(told()).toEqual(['c: 2 requests wait already']);
    connected();
    ask('d', 'e');
    expect(told()).toEqual(['a on 0', 'e: 2 requests wait already']);
    clients[0].answer();
    ask('f', 'g');
    expect(told()).toEqual(['b on 0', 'g: 2 requests wait already']);
  });

  test('follows its bounds when they change', () => {
    const { ask, bounds, connected, attempts, told } = poolOf({ maxConnections: 1, maxPending: 1 });
    ask('a', 'b');
    expect([attempts.length, told()]).toEqual([1, ['b: 1 requests wait already']]);
    Object.assign(bounds, { maxConnections: 3, maxPending: 5 });
    ask('c', 'd', 'e');
    expect([attempts.length, told()]).toEqual([3, []]);
    for (let each = 0; each < 3; each++) connected();
    expect(told()).toEqual(['a on 0', 'c on 1', 'd on 2']);
    Object.assign(bounds, { maxConnections: 1, maxPending: 1 });
    ask('f');
    expect([attempts.length, told()]).toEqual([0, ['f: 1 requests wait already']]);
  });

  test('makes another one only when all carry what they may, and as many as that takes', () => {
    const { ask, connected, clients, attempts, told } = poolOf({ maxConnections: 3, maxPending: 10 }, 2);
    ask('a', 'b');
    expect(attempts).toHaveLength(1);
    ask('c');
    expect(attempts).toHaveLength(2);
    connected();
    connected();
    expect(told()).toEqual(['a on 0', 'b on 0', 'c on 1']);
    ask('d', 'e');
    expect([attempts.length, told()]).toEqual([1, ['d on 1']]);
    clients[1].answer();
    expect(told()).toEqual(['e on 1']);
  });

  test('makes more where one carries less than was expected', () => {
    const { ask, connected, attempts, told } = poolOf({ maxConnections: 3, expectedCapacity: 100 });
    ask('a', 'b', 'c');
    expect(attempts).toHaveLength(1);
    connected();
    expect([attempts.length, told()]).toEqual([1, ['a on 0']]);
    connected();
    connected();
    expect(told()).toEqual(['b on 1', 'c on 2']);
  });

  test('takes the one that was used last, so that others can idle out', () => {
    const { ask, connected, clients, told } = poolOf();
    ask('a', 'b');
    connected();
    connected();
    clients[1].answer();
    clients[0].answer();
    told();
    ask('c');
    expect(told()).toEqual(['c on 0']);
  });

  test('fails those for whom a connection cannot be made, and none of the others', () => {
    const { ask, connected, failed, told } = poolOf();
    ask('a', 'b', 'c');
    failed('refused');
    expect(told()).toEqual(['a: refused']);
    connected();
    expect(told()).toEqual(['b on 0']);
  });

  test('lets nobody wait for nothing', () => {
    const { ask, failed, told } = poolOf({ maxConnections: 1 });
    ask('a', 'b', 'c');
    failed('refused');
    expect(told()).toEqual(['a: refused', 'b: refused', 'c: refused']);
  });

  test('makes one in place of one that ends while somebody waits', () => {
    const { ask, connected, clients, attempts, told } = poolOf({ maxConnections: 1 });
    ask('a', 'b');
    connected();
    told();
    clients[0].destroy();
    expect(attempts).toHaveLength(1);
    connected();
    expect(told()).toEqual(['b on 1']);
  });

  test('gives nothing to who has gone', () => {
    const { pool, waiter, ask, connected, clients, told } = poolOf({ maxConnections: 1 });
    ask('a');
    const impatient = waiter('b');
    pool.acquire(impatient);
    ask('c');
    pool.forget(impatient);
    connected();
    clients[0].answer();
    expect(told()).toEqual(['a on 0', 'c on 0']);
  });

  test('asks who would have to wait, and only then', () => {
    const { pool, waiter, connected, clients, attempts, told } = poolOf({ maxConnections: 1 });
    const refuse = () => new Error('not now');
    pool.acquire(waiter('a', refuse));
    expect([attempts.length, told()]).toEqual([0, ['a: not now']]);
    pool.acquire(waiter('b'));
    connected();
    clients[0].answer();
    pool.acquire(waiter('c', refuse));
    expect(told()).toEqual(['b on 0', 'c on 0']);
  });

  test('makes none beyond the first where it is told not to', () => {
    const { ask, connected, clients, attempts, told } = poolOf({ mayConnect: () => false });
    ask('a', 'b');
    expect(attempts).toHaveLength(1);
    connected();
    clients[0].answer();
    expect(told()).toEqual(['a on 0', 'b on 0']);
  });

  test('makes a new one for who met a closed one, where there may be one more', () => {
    const { pool, waiter, ask, connected, clients, attempts, told } = poolOf();
    ask('a', 'b');
    connected();
    clients[0].answer();
    connected();
    told();
    // One of two is idle: both places are taken, so it is given the idle one.
    clients[0].answer();
    pool.acquire(waiter('c'), true);
    expect([attempts.length, told()]).toEqual([0, ['c on 0']]);
    clients[0].answer();
    clients[1].destroy();
    pool.acquire(waiter('d'), true);
    expect([attempts.length, told()]).toEqual([1, []]);
    connected();
    expect(told()).toEqual(['d on 2']);
  });

  test('takes nobody once it drains, and closes what is still being made', () => {
    const { pool, ask, connected, clients, told } = poolOf({ maxConnections: 2 });
    ask('a');
    connected();
    ask('b');
    told();
    pool.drain();
    ask('c');
    expect(told()).toEqual(['b: the endpoint is gone', 'c: the endpoint is gone']);
    connected();
    expect(clients.map(({ state }) => state)).toEqual(['drained', 'drained']);
    expect([pool.size, pool.active]).toEqual([1, 1]);
    pool.destroy();
    expect([clients[0].state, pool.size]).toEqual(['destroyed', 0]);
  });
});
