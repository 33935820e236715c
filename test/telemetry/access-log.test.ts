import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { systemClock } from '../../runtime/model/index.ts';
import { type AccessLogEntry, isoTime, openAccessLog } from '../../runtime/telemetry/index.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

let directory: TemporaryDirectory;
beforeEach(() => {
  directory = new TemporaryDirectory();
});
afterEach(() => directory[Symbol.dispose]());

const entry: AccessLogEntry = {
  timestamp: isoTime(0),
  direction: 'inbound',
  method: 'GET',
  authority: 'reviews:9080',
  path: '/',
  status: 200,
  duration_ms: 1.5,
  bytes_received: 0,
  bytes_sent: 5,
  source: 'spiffe://test.local/ns/shop/sa/web',
  service: 'shop/reviews',
  mtls: true,
};

const lines = async (path: string): Promise<unknown[]> =>
  (await readFile(path, 'utf8'))
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

describe('the access log', () => {
  it('writes one JSON object a line, in the order of the requests', async () => {
    const path = join(directory.path, 'access.log');
    const log = openAccessLog(path, systemClock, () => {});
    const entries = Array.from({ length: 2000 }, (_, index) => ({ ...entry, status: index }));
    for (const each of entries) log.log(each);
    await log.close();
    expect(await lines(path)).toEqual(entries);
  });

  it('lets no value of a client break its lines', async () => {
    const path = join(directory.path, 'access.log');
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), async (authority, text) => {
        const log = openAccessLog(path, systemClock, () => {});
        const odd = { ...entry, authority, path: text, method: text, request_id: text, error: text, retries: 1 };
        log.log(odd);
        await log.close();
        expect((await lines(path)).at(-1)).toEqual(JSON.parse(JSON.stringify(odd)));
      }),
      { numRuns: 50 },
    );
  });

  it('tells how a call of gRPC ended, and durations to the microsecond', async () => {
    const path = join(directory.path, 'access.log');
    const log = openAccessLog(path, systemClock, () => {});
    log.log({ ...entry, grpc_status: 'NOT_FOUND', duration_ms: 0.0126 });
    log.log({ ...entry, duration_ms: 61_234.9999 });
    await log.close();
    expect(await lines(path)).toMatchObject([
      { grpc_status: 'NOT_FOUND', duration_ms: 0.013 },
      { duration_ms: 61_235 },
    ]);
  });

  it('drops entries rather than using more memory when the disk is slow, and says how many', async () => {
    const dropped: number[] = [];
    const log = openAccessLog(join(directory.path, 'access.log'), systemClock, (count) => dropped.push(count));
    const long = { ...entry, path: 'x'.repeat(100_000) };
    for (let i = 0; i < 100; i++) log.log(long);
    await log.close();
    expect(dropped).toHaveLength(1);
    expect(dropped[0]).toBeGreaterThan(40);
  });
});

it('writes whole lines, no more at once than a pipe takes as a whole, where other processes write too', async () => {
  const program = fileURLToPath(new URL('../../runtime/telemetry/index.ts', import.meta.url));
  const writer = `
    import fs, { appendFileSync } from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    const { write } = fs;
    fs.write = (descriptor, chunk, done) => {
      appendFileSync(${JSON.stringify(join(directory.path, 'writes'))}, JSON.stringify([chunk.length, chunk.at(-1)]) + '\\n');
      write(descriptor, chunk, done);
    };
    syncBuiltinESMExports();
    const { openAccessLog } = await import(${JSON.stringify(program)});
    const clock = { schedule: (delay, callback) => ({ cancel: clearTimeout.bind(null, setTimeout(callback, delay)) }) };
    const log = openAccessLog('-', clock, () => {}, { shared: true });
    const entry = ${JSON.stringify({ ...entry, path: `/${'x'.repeat(300)}` })};
    for (let index = 0; index < 1000; index++) log.log(entry);
    await log.close();`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', writer]);
  const output = (await child.stdout.setEncoding('utf8').toArray()).join('').trimEnd().split('\n');
  expect(output).toHaveLength(1000);
  const writes = (await lines(join(directory.path, 'writes'))) as [number, number][];
  expect(Math.max(...writes.map(([length]) => length))).toBeLessThanOrEqual(4096);
  expect(writes.every(([, last]) => last === '\n'.charCodeAt(0))).toBe(true);
});
