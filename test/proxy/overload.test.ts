import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { Metadata } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type Clock, type StatedLimits, systemClock, type Workload } from '../../runtime/model/index.ts';
import { heldMemory, pages } from '../../runtime/net/index.ts';
import { defaultProxyLimits, type ProxyLimits } from '../../runtime/proxy/index.ts';
import { eventually } from '../support/eventually.ts';
import { startTalk, TalkClient } from '../support/grpc.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { closeAll, closeLater, createAuthority, freePort, send, startApp, startProxy, svidOf } from './mesh.ts';
import { endpointsOf, service } from './resources.ts';

afterEach(closeAll);

/** Every timer of it is exactly `late` milliseconds late, as those of a busy event loop are, however busy the real one is. */
class LateClock implements Clock {
  late = 0;
  #behind = 0;
  /** How many timers ran. */
  ran = 0;

  now(): number {
    return systemClock.now() + this.#behind;
  }

  wallTime(): number {
    return systemClock.wallTime();
  }

  schedule(delay: number, callback: () => void) {
    const due = this.now() + delay;
    return systemClock.schedule(delay, () => {
      this.#behind += due + this.late - this.now();
      this.ran++;
      callback();
    });
  }
}

/** The sidecar of a caller, its service without a second hop. */
async function startOutbound(
  appPort: number,
  limits: Partial<ProxyLimits> = {},
  protocol: 'http' | 'grpc' = 'http',
  idleTime?: (clock: LateClock) => number,
) {
  const clock = new LateClock();
  const port = await freePort();
  const { proxy, metrics } = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(await createAuthority(), 'web'),
    clock,
    // Refuses whenever a share is refused at all.
    random: () => 0,
    ...(idleTime && { idleTime: () => idleTime(clock) }),
    limits,
    resources: [service('reviews', 9080, protocol), endpointsOf('reviews', 9080, [{ port: appPort }])],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${port}`, service: 'shop/reviews', port: 9080 }] } },
  });
  const state = (stated?: StatedLimits) => {
    const workload = proxy.resources.find(({ kind }) => kind === 'workload') as Workload;
    proxy.apply([{ ...workload, limits: stated }], 'workload', []);
  };
  return { port, clock, metrics, state };
}

const shed = (metrics: { registry: { expose(): string } }) =>
  /meshwright_requests_shed_total\{limit="(\w+)"\} (\d+)/.exec(metrics.registry.expose())?.slice(1);

describe('a proxy that is late with its work', () => {
  it('answers 503 at once, says when to come again, and serves all again when it is in time', async () => {
    let served = 0;
    const app = await startApp((_, response) => {
      served++;
      response.end('hello');
    });
    const { port, clock, metrics } = await startOutbound(app);
    expect((await send(port)).status).toBe(200);

    clock.late = 10 * defaultProxyLimits.maxLoopDelay;
    const refused = await eventually(async () => {
      const reply = await send(port);
      return reply.status === 503 ? reply : undefined;
    });
    expect(refused.headers['retry-after']).toBe('1');
    expect(refused.headers['proxy-status']).toBe(
      'meshwright; error=proxy_internal_response; details="the proxy is overloaded"',
    );
    const before = served;
    expect((await send(port)).status).toBe(503);
    expect(served).toBe(before);
    expect(shed(metrics)).toEqual(['delay', expect.any(String)]);

    clock.late = 0;
    await eventually(async () => (await send(port)).status === 200);
  });

  it('tells calls of gRPC that it is not available', async () => {
    const talk = await startTalk({
      Unary: (call: { request: string }, done: (e: null, value: string) => void) => done(null, call.request),
    });
    closeLater(() => talk.close());
    const { port, clock } = await startOutbound(talk.port, {}, 'grpc');
    const client = new TalkClient(port);
    closeLater(() => client.close());
    expect(await client.unary('hello', new Metadata())).toEqual({ code: 0, value: 'hello' });
    clock.late = 10 * defaultProxyLimits.maxLoopDelay;
    const refused = await eventually(async () => {
      const result = await client.unary('hello', new Metadata());
      return result.code === 0 ? undefined : result;
    });
    expect(refused).toEqual(expect.objectContaining({ code: 14, details: 'the proxy is overloaded' }));
  });

  it('refuses nobody for one pause, however long', async () => {
    const app = await startApp((_, response) => response.end());
    const { port, clock, metrics } = await startOutbound(app);
    clock.late = 60_000;
    await send(port);
    const { ran } = clock;
    await eventually(() => clock.ran > ran);
    clock.late = 0;
    for (let i = 0; i < 20; i++) expect((await send(port)).status).toBe(200);
    expect(shed(metrics)).toBeUndefined();
  });

  it('wakes no more for it when requests have ceased', async () => {
    const app = await startApp((_, response) => response.end());
    const { port, clock } = await startOutbound(app);
    await send(port);
    await eventually(() => clock.ran >= 1);
    let before = -1;
    await eventually(
      () =>
        new Promise<boolean>((resolve) => {
          before = clock.ran;
          setTimeout(() => resolve(clock.ran === before), 100);
        }),
    );
  });
});

describe('requests under way', () => {
  it('are as many as the limit says; one more gets 503, and when one is over there is room', async () => {
    const waiting: (() => void)[] = [];
    const app = await startApp((_, response) => {
      waiting.push(() => response.end());
    });
    const { port, metrics } = await startOutbound(app, { maxActiveRequests: 2 });
    const first = [send(port), send(port)];
    await eventually(() => waiting.length === 2);
    expect((await send(port)).status).toBe(503);
    expect(shed(metrics)).toEqual(['requests', '1']);
    for (const answer of waiting.splice(0)) answer();
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200]);
    const next = send(port);
    await eventually(() => waiting.length === 1);
    waiting[0]();
    expect((await next).status).toBe(200);
  });
});

describe('bytes that wait in memory', () => {
  it('are as many as the limit says; what comes then gets 503, until they are on their way', async () => {
    const waiting: (() => void)[] = [];
    const app = await startApp((_, response) => {
      waiting.push(() => response.end());
    });
    const { port, metrics } = await startOutbound(app, { maxHeldBytes: 20_000 });
    // Kept until it is answered: it could have to be sent again.
    const slow = send(port, { method: 'PUT', body: Buffer.alloc(30_000) });
    await eventually(() => waiting.length === 1);
    expect((await send(port)).status).toBe(503);
    expect(shed(metrics)).toEqual(['memory', '1']);
    const [, held] = /^meshwright_held_bytes (\d+)$/m.exec(metrics.registry.expose())!;
    expect(Number(held)).toBeGreaterThanOrEqual(30_000);
    waiting[0]();
    expect((await slow).status).toBe(200);
    const next = send(port);
    await eventually(() => waiting.length === 2);
    waiting[1]();
    expect((await next).status).toBe(200);
  });
});

describe('a request whose answer has begun', () => {
  it('waits for nothing in memory: it cannot be sent again', async () => {
    const begun: ServerResponse[] = [];
    const app = await startApp((_, response) => {
      begun.push(response);
    });
    const { port } = await startOutbound(app);
    const answer = send(port, { method: 'PUT', body: Buffer.alloc(30_000) });
    await eventually(() => begun.length === 1 && heldMemory.bytes > 0);
    begun[0].write('event: 1\n\n');
    await eventually(() => heldMemory.bytes === 0);
    begun[0].end();
    expect((await answer).body.toString()).toBe('event: 1\n\n');
  });
});

describe('buffers that a burst needed', () => {
  it('go when nobody needs them any more, and then the proxy rests', async () => {
    const clock = new ManualClock();
    const app = await startApp((_, response) => response.end());
    const port = await freePort();
    await startProxy({
      serviceAccount: 'web',
      svid: await svidOf(await createAuthority(), 'web'),
      clock,
      resources: [service('reviews', 9080, 'http'), endpointsOf('reviews', 9080, [{ port: app }])],
      bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${port}`, service: 'shop/reviews', port: 9080 }] } },
    });
    for (const each of Array.from({ length: 1000 }, () => pages.take())) pages.give(each);
    expect((await send(port)).status).toBe(200);
    expect(pages.hasSpare).toBe(true);
    clock.advance(3000);
    expect(pages.hasSpare).toBe(false);
    const { scheduled } = clock;
    clock.advance(3000);
    expect(clock.scheduled).toBe(scheduled);
  });
});

describe('a proxy without a moment of rest', () => {
  /** A proxy with two requests under way, as many as may be while it has no rest. */
  async function startBusy() {
    const waiting: (() => void)[] = [];
    const app = await startApp((request, response) => {
      if (request.url === '/slow') waiting.push(() => response.end());
      else response.end();
    });
    /** How often it is asked for its rest, and had none, from now on; a measurement asks twice. */
    const loop = { restless: 0 };
    let rest = 0;
    let last = 0;
    const outbound = await startOutbound(app, { maxBusyRequests: 2 }, 'http', (clock) => {
      if (loop.restless > 0) loop.restless--;
      else rest += clock.now() - last;
      last = clock.now();
      return rest;
    });
    const { port, clock } = outbound;
    const slow = [send(port, { path: '/slow' }), send(port, { path: '/slow' })];
    await eventually(() => waiting.length === 2);
    /** The answers to requests of the next few measurements. */
    const statuses = async () => {
      const { ran } = clock;
      const all: number[] = [];
      await eventually(async () => {
        all.push((await send(port)).status);
        return clock.ran > ran + 4;
      });
      return all;
    };
    const answerSlow = async () => {
      for (const answer of waiting) answer();
      return (await Promise.all(slow)).map(({ status }) => status);
    };
    return { ...outbound, loop, statuses, answerSlow };
  }

  it('takes no more than so many at once, and more again when it has some', async () => {
    const { metrics, loop, statuses, answerSlow } = await startBusy();
    loop.restless = Number.POSITIVE_INFINITY;
    expect((await statuses()).at(-1)).toBe(503);
    expect(shed(metrics)).toEqual(['busy', expect.any(String)]);
    loop.restless = 0;
    await eventually(async () => (await statuses()).at(-1) === 200);
    expect(await answerSlow()).toEqual([200, 200]);
  });

  it('takes more while they wait for an application', async () => {
    const { metrics, statuses, answerSlow } = await startBusy();
    expect(new Set(await statuses())).toEqual(new Set([200]));
    expect(shed(metrics)).toBeUndefined();
    expect(await answerSlow()).toEqual([200, 200]);
  });

  it('refuses nobody for one pause', async () => {
    const { loop, statuses, answerSlow } = await startBusy();
    loop.restless = 2;
    expect(new Set(await statuses())).toEqual(new Set([200]));
    expect(loop.restless).toBe(0);
    expect(await answerSlow()).toEqual([200, 200]);
  });
});

describe('a connection that sends as much as it can', () => {
  const floods = {
    'pipelined requests': () => 'GET / HTTP/1.1\r\nhost: reviews\r\n\r\n'.repeat(20_000),
    'one endless body': () =>
      `POST / HTTP/1.1\r\nhost: reviews\r\ncontent-length: 1000000000000\r\n\r\n${'x'.repeat(1_000_000)}`,
  };

  it.each(Object.keys(floods) as (keyof typeof floods)[])('takes turns with all others: %s', async (flood) => {
    const bytes = floods[flood]();
    const app = await startApp((request, response) => {
      request.resume().on('end', () => response.end());
    });
    const { port } = await startOutbound(app);
    let answered = 0;
    let open = true;
    const greedy = connect(port, '127.0.0.1');
    closeLater(() => {
      greedy.destroy();
    });
    greedy
      .on('error', () => {})
      .on('close', () => {
        open = false;
      });
    greedy.on('data', (chunk) => {
      answered += String(chunk).split('HTTP/1.1 200').length - 1;
    });
    const more = (error?: Error | null): void => {
      if (!error && open) greedy.write(bytes, more);
    };
    more();
    await eventually(() => answered > 100 || greedy.bytesWritten > 1_000_000);
    for (let i = 0; i < 20; i++) expect((await send(port)).status).toBe(200);
    // It was not starved for that either, nor had all it wanted before.
    expect(open).toBe(true);
    expect(answered).toBeLessThan(20_000);
  });
});

describe('limits that a Mesh states', () => {
  it('hold for connections from then on, until it states them no more', async () => {
    const app = await startApp((_, response) => response.end());
    const { port, state } = await startOutbound(app);
    const headers = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`x-${index}`, 'value']));
    const status = async () => (await send(port, { headers })).status;
    expect(await status()).toBe(200);
    state({ maxHeaders: 10 });
    expect(await status()).toBe(431);
    state();
    expect(await status()).toBe(200);
  });

  it('bound the connections of listeners that are open', async () => {
    const waiting: (() => void)[] = [];
    const app = await startApp((_, response) => {
      waiting.push(() => response.end());
    });
    const { port, state } = await startOutbound(app);
    state({ maxConnections: 1 });
    const first = send(port);
    await eventually(() => waiting.length === 1);
    await expect(send(port)).rejects.toThrow();
    waiting[0]();
    expect((await first).status).toBe(200);
  });
});
