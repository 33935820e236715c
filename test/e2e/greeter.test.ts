import { afterAll, beforeAll, describe, expect, it, test } from '@jest/globals';
import { summarise } from '../../runtime/cli/decision-report.ts';
import { createSnapshot, decide, type MeshSnapshot } from '../../runtime/engine/index.ts';
import { readCorpus } from '../corpus/corpus.ts';
import { foretell } from '../corpus/foretell.ts';
import { eventually } from '../support/eventually.ts';
import { RunningExample } from './running-example.ts';

let greeter: RunningExample;

beforeAll(async () => {
  greeter = await RunningExample.start('greeter');
}, 90_000);

afterAll(async () => {
  await greeter?.stop();
}, 30_000);

describe('the greeter, run by meshwright up', () => {
  it('says hello at the first call, though each replica refuses its first, and the next version gets a copy', async () => {
    const requestId = crypto.randomUUID();
    const { status, body } = await greeter.fetch({ path: '/hello/ada', headers: { 'x-request-id': requestId } });
    expect([status, body]).toEqual([200, expect.stringMatching(/^Hello, ada \(v1, with a deadline of \d+[mun]\)\n$/)]);
    const entry = await eventually(() => greeter.logged('web-0', requestId));
    expect(entry).toMatchObject({
      target: 'greeter/greeter-v1',
      route: 'GRPCRoute greeter/greeter-calls hello',
      grpc_status: 'OK',
      retries: expect.any(Number),
    });
    const copy = await eventually(() => greeter.arrived('greeter/greeter-v2', requestId));
    expect(copy).toMatchObject({ path: '/greeter.v1.Greeter/Hello', grpc_status: 'OK' });
  });

  it('says goodbye in the words that the route asks for', async () => {
    const { body } = await greeter.fetch({ path: '/goodbye/ada' });
    expect(body).toMatch(/^Au revoir, ada \(v2, with a deadline of \d+[mun]\)\n$/);
  });

  it('says nothing else', async () => {
    expect((await greeter.fetch({ path: '/healthz' })).status).toBe(404);
  });
});

describe('the configuration of its sidecars', () => {
  let mesh: MeshSnapshot;

  beforeAll(async () => {
    mesh = createSnapshot(await greeter.resources());
  }, 30_000);

  test.each(readCorpus('greeter').map((line) => [line.name, line] as const))('says: %s', (_name, line) => {
    const { from, gateway, to, body, ...rest } = line.request;
    const asked = gateway
      ? { ...rest, gateway: `greeter/${gateway}`, to: gateway }
      : { ...rest, from: `greeter/${from}`, to: to ?? '' };
    expect(foretell(summarise(decide(mesh, asked)), line.expect)).toEqual(line.expect);
  });
});
