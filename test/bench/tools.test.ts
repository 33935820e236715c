import { expect, test } from '@jest/globals';
import { parseAllowedCores } from '../../bench/host/cores.ts';
import { parsePauses } from '../../bench/host/gc-trace.ts';
import { memoryOf, parseMemory } from '../../bench/host/process-memory.ts';
import { parseH2loadLog, parseH2loadReport } from '../../bench/load/h2load.ts';
import { parseVegetaReport } from '../../bench/load/vegeta.ts';

test('pauses of the garbage collector are found between other lines', () => {
  const output = [
    '{"level":30,"msg":"ready in 12 ms: 1.0 / 2.0 ms"}',
    '[20278:0x429b1000]       22 ms: Scavenge 4.9 (6.0) -> 4.4 (7.0) MB, pooled: 0 MB, 0.84 / 0.00 ms  (average mu = 1.000, current mu = 1.000) allocation failure; ',
    '[20278:0x429b1000]      412 ms: Mark-Compact (reduce) 19.5 (22.1) -> 11.0 (14.3) MB, pooled: 0 MB, 5.61 / 0.10 ms  (+ 3.2 ms in 9 steps since start of marking, biggest step 1.9 ms, walltime since start of marking 40 ms) (average mu = 0.9, current mu = 0.9) finalize incremental marking',
    '[1:0x1]       22 ms: Scavenge 4.9 (6.0) -> 4.4 (7.0) MB, 1.25 / 0.00 ms  (average mu = 1.000)',
  ].join('\n');
  expect(parsePauses(output)).toEqual([
    { kind: 'Scavenge', milliseconds: 0.84 },
    { kind: 'Mark-Compact', milliseconds: 5.61 },
    { kind: 'Scavenge', milliseconds: 1.25 },
  ]);
});

test('private and resident memory are read in bytes', () => {
  const status = 'Name:\tnode\nVmRSS:\t   61440 kB\nRssAnon:\t   20480 kB\nRssFile:\t   40960 kB\n';
  expect(parseMemory(status)).toEqual({ private: 20_971_520, resident: 62_914_560 });
  expect(() => parseMemory('Name:\tkthreadd\n')).toThrow('expected RssAnon');
});

(process.platform === 'linux' ? test : test.skip)('a process has private memory, which is part of all of it', () => {
  const { private: own, resident } = memoryOf(process.pid);
  expect(own).toBeGreaterThan(0);
  expect(own).toBeLessThan(resident);
});

const h2load = (requests: string): string => `
finished in 3.00s, 9000.00 req/s, 1.20MB/s
${requests}
status codes: 27000 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 3.6MB (3774873) total, 1.2MB (1258291) headers (space savings 90.00%), 1.0MB (1048576) data
                     min         max         mean         sd        +/- sd
time for request:      512us     12.40ms      1.75ms       301us    80.12%
time for connect:       90us       140us       115us        30us    50.00%
`;

test('calls and their mean time are read from the report of h2load', () => {
  const all = 'requests: 27000 total, 27032 started, 27000 done, 27000 succeeded, 0 failed, 0 errored, 0 timeout';
  expect(parseH2loadReport(h2load(all))).toEqual({ requests: 27_000, mean: 1750, problems: [] });
  const some = all.replace('0 failed', '3 failed');
  expect(parseH2loadReport(h2load(some)).problems).toEqual([some]);
  expect(() => parseH2loadReport('no such host')).toThrow('expected a report of h2load');
});

test('what became of a fixed rate is told of the time between the first and the last second', () => {
  const line = (start: number, status: number, milliseconds: number) =>
    `${5_000_000_000 + start * 1000}\t${status}\t${milliseconds * 1000}\n`;
  const before = line(0, 200, 1);
  // From 1000 ms on: two seconds.
  const counted = [line(1000, 200, 10), line(1500, 200, 30), line(1600, 503, 1), line(2900, 502, 1)];
  // Sent before, answered then: no part of what is offered, but of what is done.
  const late = line(900, 200, 300);
  const after = line(3999, 200, 1);
  expect(parseH2loadLog([before, late, ...counted, after].join(''))).toEqual({
    offered: 2,
    good: 1.5,
    shed: 0.25,
    failed: 0.25,
    p99: 30_000,
  });
  for (const short of [before, '']) {
    expect(parseH2loadLog(short)).toEqual({ offered: 0, good: 0, shed: 0, failed: 0, p99: 0 });
  }
  expect(() => parseH2loadLog('no such host\n')).toThrow('expected a log of h2load');
});

test('the processors that a thread may use are read as taskset names them', () => {
  expect(parseAllowedCores('Name:\tnode\nCpus_allowed:\t1\nCpus_allowed_list:\t0-2,5\n')).toBe('0-2,5');
  expect(() => parseAllowedCores('Name:\tnode\n')).toThrow('expected Cpus_allowed_list');
});

test('the report of vegeta is read in microseconds and seconds', () => {
  const report = {
    latencies: { '50th': 1_234_567, '99th': 9_876_543 },
    duration: 2_000_000_000,
    wait: 500_000_000,
    status_codes: { 200: 1900, 503: 100 },
  };
  expect(parseVegetaReport(JSON.stringify(report))).toEqual({
    statuses: { 200: 1900, 503: 100 },
    seconds: 2.5,
    p50: 1234.6,
    p99: 9876.5,
  });
  expect(() => parseVegetaReport('{}')).toThrow('expected a report of vegeta');
});
