import { describe, expect, test } from '@jest/globals';
import { Caller, type Gateway, type Mesh } from 'meshwright';
import { createSimulator } from 'meshwright/testing';
import { mesh as greeter } from '../../examples/greeter/main.ts';
import { shop } from '../../examples/shop/main.ts';
import { summarise } from '../../runtime/cli/decision-report.ts';
import { type CorpusLine, parseCorpus, pinned, readCorpus } from '../corpus/corpus.ts';
import { foretell } from '../corpus/foretell.ts';

/** Decides requests in a mesh, in the namespace of its name. */
function decider(mesh: Mesh) {
  const simulate = createSimulator(mesh);
  return ({ from, gateway, to, body, ...request }: CorpusLine['request']) => {
    const { decision } = simulate({
      ...request,
      ...(from && { from: Caller.serviceAccount(mesh.node.id, from) }),
      to: gateway ? (mesh.node.findChild(gateway) as Gateway) : `http://${to}`,
    });
    return summarise(decision);
  };
}

const decide = decider(shop);

describe('in the shop', () => {
  test.each(readCorpus('shop'))('$name', ({ request, expect: expected }) => {
    expect(foretell(decide(request), expected)).toEqual(expected);
  });
});

describe('in the greeter', () => {
  const decide = decider(greeter);
  test.each(readCorpus('greeter'))('$name', ({ request, expect: expected }) => {
    expect(foretell(decide(request), expected)).toEqual(expected);
  });
});

describe('a corpus', () => {
  const line = (expected: string, request = '{ from: web, to: "cart:7070" }') =>
    `[{ name: a line, request: ${request}, expect: ${expected} }]`;

  test.each([
    [
      '{ retries: 2 }',
      'a line: expect: unknown expectation retries; allowed are rule, targets, status, deniedBy, fault,',
    ],
    ['{ retry: { tries: 2 } }', 'unknown field of a retry tries; allowed are attempts, codes, grpcStatuses, backoff'],
    ['{ forwarded: { authority: a } }', 'unknown field of forwarded authority; allowed are path, host, headers'],
    ['{ status: ok }', 'a line: expect.status: Invalid input: expected number, received string'],
  ])('does not take %s', (expected, complaint) => {
    expect(() => parseCorpus(line(expected))).toThrow(complaint);
  });

  test('does not take a request that it does not know all of', () => {
    expect(() => parseCorpus(line('{}', '{ of: web }'))).toThrow('unknown field of a request of; allowed are from, ');
  });

  test('has a line for every expectation', () => {
    const stated = new Set(readCorpus('shop').flatMap(({ expect: expected }) => Object.keys(expected)));
    expect(pinned.filter((name) => !stated.has(name))).toEqual([]);
  });

  test.each<[string, string]>([
    ['timeouts', '{ request: 1000 }'],
    ['retry', '{ attempts: 9 }'],
    ['retryBudget', '{ ratings: 99 }'],
    ['hedge', '999'],
    ['limits', '[RateLimitPolicy shop/none of-it]'],
    ['circuitBreakers', '{ CircuitBreakerPolicy shop/ratings-limits: { requests: 1 } }'],
    ['outlierDetection', '{ ratings: OutlierDetectionPolicy shop/none }'],
    ['mirrors', '{ ratings: 100 }'],
    ['balancing', '{ ratings: { kind: random } }'],
    ['forwarded', '{ path: /elsewhere }'],
    ['responseHeaders', '{ server: null }'],
    ['allowOrigin', '"*"'],
  ])('whose line has wrong %s fails, and says so', (name, wrong) => {
    const request = '{ from: reviews-v2, to: "ratings:9080", path: /ratings/walden, headers: { server: x } }';
    const [{ request: asked, expect: expected }] = parseCorpus(line(`{ ${name}: ${wrong} }`, request));
    const { [name as keyof typeof expected]: told } = foretell(decide(asked), expected);
    expect(told).toBeDefined();
    expect(told).not.toEqual(expected[name as keyof typeof expected]);
  });
});
