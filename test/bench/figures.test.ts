import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Sample, Series } from '../../bench/measure.ts';
import { compare, formatTable } from '../../bench/report.ts';
import { median } from '../../bench/statistics.ts';
import { parseWrkReport } from '../../bench/wrk.ts';

test('the median is the middle value, or the mean of the two in the middle', () => {
  expect(median([7])).toBe(7);
  expect(median([10, 9, 1])).toBe(9);
  expect(median([4, 100, 1, 2])).toBe(3);
  expect(() => median([])).toThrow('at least one value');
});

test('as many values lie below the median as above it, and its input stays as it was', () => {
  fc.assert(
    fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
      const before = [...values];
      const middle = median(values);
      const below = values.filter((value) => value < middle).length;
      const above = values.filter((value) => value > middle).length;
      expect(below).toBeLessThanOrEqual(values.length / 2);
      expect(above).toBeLessThanOrEqual(values.length / 2);
      expect(values).toEqual(before);
    }),
  );
});

const report = (rest = ''): string => `Running 4s test @ http://127.0.0.1:19411/reviews/7
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.62ms  401.53us  12.03ms   93.19%
    Req/Sec    19.88k     1.02k   21.40k    77.50%
  Latency Distribution
     50%  998.50us
     75%    1.73ms
     90%    1.91ms
     99%   32.05ms
  79230 requests in 4.00s, 17.53MB read
${rest}Requests/sec:  19805.12
Transfer/sec:      4.38MB
`;

test('the number of requests and the latencies are read from the report of wrk, in microseconds', () => {
  expect(parseWrkReport(report())).toEqual({ requests: 79_230, p50: 998.5, p99: 32_050, problems: [] });
});

test('requests that failed are reported in the words of wrk', () => {
  const failed = '  Socket errors: connect 0, read 3, write 0, timeout 0\n  Non-2xx or 3xx responses: 79230\n';
  expect(parseWrkReport(report(failed)).problems).toEqual([
    'Socket errors: connect 0, read 3, write 0, timeout 0',
    'Non-2xx or 3xx responses: 79230',
  ]);
});

test('what is no report of wrk is an error', () => {
  expect(() => parseWrkReport('unable to connect to 127.0.0.1:1')).toThrow('unable to connect');
  expect(() => parseWrkReport(report().replace('99%', '98%'))).toThrow('99%');
});

const sample = (cpuPerRequest: number): Sample => ({ cpuPerRequest, p50: cpuPerRequest * 10, p99: cpuPerRequest * 20 });
const series = (pair: string, connections: number, ...cpu: number[]): Series => ({
  pair,
  connections,
  samples: cpu.map(sample),
});
const measured = [
  series('meshwright', 4, 50, 48, 90),
  series('envoy', 4, 100, 80, 100),
  series('meshwright', 32, 20, 21, 22),
  series('envoy', 32, 40, 42, 44),
  series('haproxy', 32, 30, 30, 30),
];

test('each figure of ours stands beside that of each peer at the same number of connections', () => {
  const rows = compare(measured, 'meshwright');
  expect(rows.map(({ figure, connections, peer }) => [figure, connections, peer])).toEqual(
    ['cpu-per-request', 'latency-p50', 'latency-p99'].flatMap((figure) => [
      [figure, 4, 'envoy'],
      [figure, 32, 'envoy'],
      [figure, 32, 'haproxy'],
    ]),
  );
});

test('a row holds the medians of the rounds, their ratio, and the smallest and largest ratio of one round', () => {
  const [row] = compare(measured, 'meshwright');
  expect(row).toEqual({
    figure: 'cpu-per-request',
    peer: 'envoy',
    connections: 4,
    ours: 50,
    theirs: 100,
    ratio: 0.5,
    spread: [0.5, 0.9],
    unit: 'us',
  });
});

test('the table has a line a row under its header, with numbers aligned to the right', () => {
  const rows = compare(measured, 'meshwright').filter(({ figure }) => figure === 'latency-p50');
  expect(formatTable(rows).split('\n')).toEqual([
    'FIGURE       CONNECTIONS  PEER         OURS     THEIRS  RATIO     SPREAD',
    'latency-p50            4  envoy    500.0 us  1000.0 us   0.50  0.50-0.90',
    'latency-p50           32  envoy    210.0 us   420.0 us   0.50  0.50-0.50',
    'latency-p50           32  haproxy  210.0 us   300.0 us   0.70  0.67-0.73',
  ]);
});
