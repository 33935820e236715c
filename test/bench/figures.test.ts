import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseWrkReport } from '../../bench/load/wrk.ts';
import { compare, formatTable } from '../../bench/report.ts';
import { inRounds, type Reading, type Series } from '../../bench/rounds.ts';
import { median } from '../../bench/statistics.ts';

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

const series = (figure: string, subject: string, at: string, ...values: number[]): Series => ({
  figure,
  unit: 'us',
  subject,
  at,
  values,
});
const measured = [
  series('cpu', 'meshwright', '4', 50, 48, 90),
  series('p50', 'meshwright', '4', 500, 480, 900),
  series('cpu', 'envoy', '4', 100, 80, 100),
  series('p50', 'envoy', '4', 1000, 800, 1000),
  series('cpu', 'meshwright', '32', 20, 21, 22),
  series('cpu', 'envoy', '32', 40, 42, 44),
  series('cpu', 'haproxy', '32', 30, 30, 30),
  series('start-up', 'meshwright', 'cold', 7.5),
];

test('each figure of ours stands beside that of each peer under the same load', () => {
  const rows = compare(measured, 'meshwright');
  expect(rows.map(({ figure, at, peer }) => [figure, at, peer])).toEqual([
    ['cpu', '4', 'envoy'],
    ['cpu', '32', 'envoy'],
    ['cpu', '32', 'haproxy'],
    ['p50', '4', 'envoy'],
    ['start-up', 'cold', undefined],
  ]);
});

test('a row holds the medians of the rounds, their ratio, and the extremes of single rounds', () => {
  const rows = compare(measured, 'meshwright');
  expect(rows[0]).toEqual({
    figure: 'cpu',
    at: '4',
    unit: 'us',
    rounds: 3,
    ours: 50,
    range: [48, 90],
    peer: 'envoy',
    theirs: 100,
    ratio: 0.5,
    spread: [0.5, 0.9],
  });
  expect(rows.at(-1)).toEqual({
    figure: 'start-up',
    at: 'cold',
    unit: 'us',
    rounds: 1,
    ours: 7.5,
    range: [7.5, 7.5],
  });
});

test('a peer of whom nothing was found is named, without a ratio', () => {
  const [row] = compare([series('failed', 'meshwright', '4', 1), series('failed', 'envoy', '4', 0)], 'meshwright');
  expect(row).toEqual(expect.objectContaining({ peer: 'envoy', theirs: 0 }));
  expect(row).not.toHaveProperty('ratio');
});

test('the table has a line a row under its header, with numbers aligned to the right', () => {
  const rows = compare(measured, 'meshwright').filter(({ at }) => at !== '4');
  expect(formatTable(rows).split('\n')).toEqual([
    'FIGURE    AT    PEER        OURS      RANGE   THEIRS  RATIO     SPREAD',
    'cpu       32    envoy    21.0 us  20.0-22.0  42.0 us   0.50  0.50-0.50',
    'cpu       32    haproxy  21.0 us  20.0-22.0  30.0 us   0.70  0.67-0.73',
    'start-up  cold  -        7.50 us  7.50-7.50        -      -          -',
  ]);
});

test('subjects are measured in turn, and a round is over when each was under each load', async () => {
  const order: string[] = [];
  const found = await inRounds(
    [{ name: 'a' }, { name: 'b' }],
    [{ name: 'light' }, { name: 'heavy' }],
    { rounds: 2, progress() {} },
    async (subject, load): Promise<Reading[]> => {
      order.push(`${load.name} ${subject.name}`);
      return [{ figure: 'turn', unit: 'count', value: order.length }];
    },
  );
  const round = ['light a', 'light b', 'heavy a', 'heavy b'];
  expect(order).toEqual([...round, ...round]);
  expect(found).toContainEqual({ figure: 'turn', unit: 'count', subject: 'b', at: 'light', values: [2, 6] });
  expect(found).toHaveLength(4);
});
