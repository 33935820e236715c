import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { startLocalMesh } from '../../runtime/local/index.ts';
import { type Clock, type Finding, systemClock } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { selfSigned } from '../support/self-signed.ts';
import { type Answer, Duo, Up } from './duo.ts';
import { isRunning, processesOf } from './ps.ts';

jest.setTimeout(90_000);

function pidOf(app: string, part: string): number {
  const line = processesOf(app).find((each) => each.includes(part));
  if (!line) throw new Error(`no process of ${part}:\n${processesOf(app).join('\n')}`);
  return Number.parseInt(line, 10);
}

describe('a mesh that runs', () => {
  const duo = new Duo();
  let up: Up;
  const answers = async (wanted: (answer: Answer) => boolean, deadline = 15_000): Promise<Answer> =>
    eventually(async () => {
      const answer = await up.get();
      return wanted(answer) && answer;
    }, deadline);

  beforeAll(async () => {
    up = new Up(duo.path);
    await up.ready();
  });

  afterAll(async () => {
    await up[Symbol.asyncDispose]();
    duo[Symbol.dispose]();
  });

  it('takes requests as soon as it says so, and says so in one line', async () => {
    expect(await up.get()).toMatchObject({ status: 200, edition: 'first', called: { pod: 'old' } });
    expect(up.stdout.match(/\n/g)).toHaveLength(1);
    expect(up.endpoints).toEqual({ ready: true, gateway: expect.any(String), admin: expect.any(String) });
  });

  it('sends every call over mutual TLS', async () => {
    const stats = await eventually(async () => {
      await up.get();
      const response = await fetch(`${up.endpoints!.admin}/api/v1/stats`);
      const rows = (await response.json()) as { service: string; mtls?: number }[];
      return rows.length === 2 && rows.every(({ mtls }) => mtls !== undefined) && rows;
    }, 15_000);
    expect(stats.map(({ service, mtls }) => [service, mtls])).toEqual([
      ['duo/back', 1],
      ['duo/front', 1],
    ]);
  });

  it('starts an application again that was killed', async () => {
    const { called } = await up.get();
    process.kill(called!.pid, 'SIGKILL');
    const after = await answers(({ status, called: now }) => status === 200 && now?.pid !== called!.pid);
    expect(after.called!.pid).not.toBe(called!.pid);
    await eventually(() => up.stderr.includes('back-0 was ended by SIGKILL'));
  });

  it('starts a sidecar again that was killed', async () => {
    const before = pidOf(duo.path, 'pods/back-0');
    process.kill(before, 'SIGKILL');
    await eventually(() => up.stderr.includes('back-0.sidecar was ended by SIGKILL'));
    await answers(({ status }) => status === 200);
    expect(pidOf(duo.path, 'pods/back-0')).not.toBe(before);
  });

  it('serves while the controller is away, and follows edits when it is back', async () => {
    process.kill(pidOf(duo.path, 'controller --manifests'), 'SIGKILL');
    expect(await up.get()).toMatchObject({ status: 200 });
    duo.edit('settings.ts', "edition: 'first'", "edition: 'second'");
    await answers(({ edition }) => edition === 'second');
  });

  it('brings an edit to the proxies, without a failed request', async () => {
    const statuses = new Set<number>();
    let editing = true;
    const load = (async () => {
      while (editing) statuses.add((await up.get()).status);
    })();
    const pids = processesOf(duo.path).length;
    duo.edit('settings.ts', "edition: 'second'", "edition: 'third'");
    await answers(({ edition }) => edition === 'third');
    editing = false;
    await load;
    expect([...statuses]).toEqual([200]);
    expect(processesOf(duo.path).length).toBe(pids);
  });

  it('keeps the last good version of an app with a mistake, and tells the mistake', async () => {
    const good = duo.read('main.ts');
    duo.write('main.ts', 'throw new Error("what a mistake");');
    await eventually(() => up.stderr.includes('what a mistake') && up.stderr.includes('MW1514'), 15_000);
    expect(await up.get()).toMatchObject({ status: 200, edition: 'third' });
    duo.write('main.ts', good.replace('settings.edition', "'fourth'"));
    await answers(({ edition }) => edition === 'fourth');
  });

  it('replaces pods whose template changed, and scales, without a failed request', async () => {
    const statuses = new Set<number>();
    let editing = true;
    const load = (async () => {
      while (editing) statuses.add((await up.get()).status);
    })();
    duo.write('settings.ts', "export const settings = { backs: 2, edition: 'fourth', backLabel: 'new' };");
    const pids = new Set<number>();
    await eventually(async () => {
      const { called } = await up.get();
      if (called?.pod === 'new') pids.add(called.pid);
      return pids.size === 2;
    }, 30_000);
    await eventually(() => !existsSync(join(duo.path, '.meshwright/duo/runtime/back-0.duo.yaml')), 15_000);
    editing = false;
    await load;
    expect([...statuses]).toEqual([200]);
    expect(readdirSync(join(duo.path, '.meshwright/duo/runtime')).filter((name) => name.startsWith('back'))).toEqual([
      'back-1.duo.yaml',
      'back-2.duo.yaml',
    ]);
  });

  it('refuses to run twice at once', async () => {
    const second = new Up(duo.path);
    expect(await second.exitCode()).toBe(1);
    expect(second.stderr).toContain('MW1516');
  });

  it('keeps what each process said in a log', () => {
    expect(readFileSync(join(duo.path, '.meshwright/duo/logs/front-0.log'), 'utf8')).toContain('listening');
  });

  it('leaves no process when it is asked to stop', async () => {
    up.process.kill('SIGINT');
    expect(await up.exitCode()).toBe(0);
    expect(processesOf(duo.path)).toEqual([]);
    expect(existsSync(join(duo.path, '.meshwright/duo/running.json'))).toBe(false);
  });
});

it('leaves no process when it is killed', async () => {
  using duo = new Duo();
  await using up = new Up(duo.path);
  await up.ready();
  const { pid, called } = await up.get();
  up.process.kill('SIGKILL');
  await eventually(() => processesOf(duo.path).length === 0, 10_000);
  await eventually(() => !isRunning(pid!) && !isRunning(called!.pid));
});

it('ends with a finding where the port is in use', async () => {
  using duo = new Duo();
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as AddressInfo;
  const up = new Up(duo.path, '--port', String(port));
  expect(await up.exitCode()).toBe(1);
  expect(up.stderr).toContain(`MW1511: port ${port} of 127.0.0.1 is in use`);
  taken.close();
});

it('ends with a finding where a container has no command', async () => {
  using duo = new Duo();
  duo.edit('main.ts', "command: ['node', 'service.ts'],", '');
  const up = new Up(duo.path);
  expect(await up.exitCode()).toBe(1);
  expect(up.stderr).toContain('MW1512');
  expect(up.stderr).toContain('Deployment duo/front');
});

it('has sidecars speak TLS to applications that listen with nothing else', async () => {
  using duo = new Duo();
  const { key, certificate } = selfSigned(duo.path);
  const encrypted = "annotations: { 'meshwright.dev/app-tls': 'http' }";
  duo.edit('main.ts', 'metadata: { name, namespace },', `metadata: { name, namespace, ${encrypted} },`);
  duo.edit('service.ts', "from 'node:http';", "from 'node:https';");
  duo.edit(
    'service.ts',
    'createServer(',
    `createServer(${JSON.stringify({ key: `${key}`, cert: `${certificate}` })}, `,
  );
  await using up = new Up(duo.path);
  await up.ready();
  expect(await up.get()).toMatchObject({ status: 200, edition: 'first', called: { pod: 'old' } });
});

it('says which pod does not get ready, and what it said last', async () => {
  using duo = new Duo();
  duo.edit(
    'service.ts',
    'server.listen(',
    'console.log("no listening today"); setInterval(() => {}, 1000).ref(); ((..._: unknown[]) => {})(',
  );
  const slow = Promise.withResolvers<Finding>();
  const given = new AbortController();
  const starting = startLocalMesh({
    app: duo.path,
    clock: hurriedClock(5),
    signal: given.signal,
    onEvent: (event) => {
      if (event.kind === 'slow') slow.resolve(event.finding);
    },
  });
  expect((await slow.promise).message).toMatch(
    /(front|back)-0 does not get ready; it said last:\n +no listening today/,
  );
  given.abort();
  await expect(starting).rejects.toThrow('aborted');
});

/** Time that passes faster for whoever waits. */
function hurriedClock(factor: number): Clock {
  return {
    ...systemClock,
    now: () => systemClock.now() * factor,
    schedule: (delay, callback) => systemClock.schedule(delay / factor, callback),
  };
}
