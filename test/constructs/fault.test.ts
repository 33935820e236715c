import { describe, expect, test } from '@jest/globals';
import { Duration, Fault, FaultPolicy, Header, type IPolicyTarget, Port, Route, Service, validate } from 'meshwright';
import { meshMatchers, simulate } from 'meshwright/testing';
import { parseObject } from '../../runtime/resources/index.ts';
import { emptyMesh, objectsOf, smallMesh, workload } from './given.ts';

expect.extend(meshMatchers);

const half = Duration.millis(500);
const asked = [Header.is('x-fault', 'down')];

function troubled(...faults: Fault[]) {
  const given = smallMesh();
  new FaultPolicy(given.mesh, 'trouble', { target: given.reviews, faults });
  return given;
}

function complaints(target: (of: { mixed: Service; grpc: Service; tcp: Service }) => IPolicyTarget, fault: Fault) {
  const mesh = emptyMesh();
  const ports = { calls: Port.grpc(90), web: Port.http(80) };
  const mixed = new Service(mesh, 'mixed', { ports, workload });
  const grpc = new Service(mesh, 'grpc', { ports: { calls: Port.grpc(90) }, workload });
  const tcp = new Service(mesh, 'tcp', { ports: { db: Port.tcp(6379) }, workload });
  new FaultPolicy(mesh, 'trouble', { target: target({ mixed, grpc, tcp }), faults: [fault] });
  return validate(mesh).map(({ message }) => message);
}

describe('a fault policy', () => {
  test('becomes an object that the controller reads', () => {
    const { mesh } = troubled(
      Fault.delay(half, { name: 'slow', percent: 2.5 }),
      Fault.abort(503, { match: [Header.regex('User-Agent', 'test/.*')], after: half }),
      Fault.bandwidth({ response: 1000 }, { percent: 5, after: half }),
    );
    const { trouble } = objectsOf(mesh, 'FaultPolicy');
    expect(parseObject(trouble, 'test').findings).toBeUndefined();
    expect(trouble.spec).toEqual({
      targetRefs: [{ group: '', kind: 'Service', name: 'reviews' }],
      faults: [
        { name: 'slow', percent: 2.5, delay: '500ms' },
        {
          name: 'fault-1',
          headers: [{ type: 'RegularExpression', name: 'user-agent', value: 'test/.*' }],
          delay: '500ms',
          abort: { httpStatus: 503 },
        },
        { name: 'fault-2', percent: 5, delay: '500ms', bandwidth: { response: 1000 } },
      ],
    });
  });

  test.each([
    [Fault.bandwidth({}), 'fault-0: it slows nothing down'],
    [
      Fault.bandwidth({ request: 0 }),
      'fault-0: request is 0 bytes a second; allowed are whole numbers from 1 to 1000000000',
    ],
  ])('is checked for what it slows down', (fault, message) => {
    expect(validate(troubled(fault).mesh)).toMatchObject([{ id: 'MW1341', message }]);
  });

  test('that slows bodies down is shown by simulate', () => {
    const { mesh, reviews, web } = troubled(Fault.bandwidth({ request: 10, response: 20 }, { name: 'thin' }));
    const simulation = simulate(mesh, { from: web, to: reviews });
    expect(simulation).toMeetFault('thin', 1);
    expect(simulation).toAllow();
    expect(simulation.why).toContain(
      'fault thin of FaultPolicy shop/trouble is met by 100 % of the tries: request at 10 bytes a second, response at 20 bytes a second',
    );
  });

  test('is shown by simulate: which faults, with which probability, and why not', () => {
    const { mesh, reviews, web } = troubled(
      Fault.abort(500, { name: 'down', match: asked, percent: 40 }),
      Fault.delay(half, { name: 'slow', percent: 80 }),
    );
    const plain = simulate(mesh, { from: web, to: reviews });
    expect(plain).toMeetFault('slow', 0.8);
    expect(plain).not.toMeetFault('down');
    expect(plain).toAllow();
    expect(plain.why).toContain('fault down of FaultPolicy shop/trouble is not met: not so: header x-fault is down');
    expect(plain.why).toContain('fault slow of FaultPolicy shop/trouble is met by 80 % of the tries: 500 ms late');

    const provoked = simulate(mesh, { from: web, to: reviews, headers: { 'x-fault': 'down' } });
    expect(provoked.faults).toEqual({ down: 0.4, slow: expect.closeTo(0.6) });
    expect(provoked.status).toBeUndefined();
  });

  test('that every try meets is what answers', () => {
    const { mesh, reviews, web } = troubled(Fault.abort(503, { match: asked }));
    expect(simulate(mesh, { from: web, to: reviews, headers: { 'x-fault': 'down' } })).toRefuseWith(503);
    expect(simulate(mesh, { from: web, to: reviews })).not.toRefuseWith(503);
  });

  test('hits who is asked for and who gets the request, and nobody without a sidecar', () => {
    const { mesh, reviews, web } = smallMesh();
    new Route(mesh, 'split', { parent: reviews, rules: [{ to: reviews.split({ v1: 1, v2: 1 }) }] });
    new FaultPolicy(mesh, 'all', { target: reviews, faults: [Fault.delay(half, { name: 'slow', percent: 20 })] });
    new FaultPolicy(mesh, 'one', {
      target: reviews.version('v2'),
      faults: [Fault.abort(503, { name: 'down', percent: 50 })],
    });
    const simulation = simulate(mesh, { from: web, to: reviews });
    expect(simulation).toMeetFault('slow', 0.2);
    expect(simulation).toMeetFault('down', 0.5 * 0.8 * 0.5);
    expect(simulate(mesh, { to: reviews }).faults).toEqual({});
  });

  test('says so where an expectation fails', () => {
    const { mesh, reviews, web } = troubled(Fault.delay(half, { name: 'slow', percent: 10 }));
    const simulation = simulate(mesh, { from: web, to: reviews });
    expect(() => expect(simulation).toMeetFault('slow', 0.2)).toThrow(
      'expected the request to meet fault slow with probability 0.2, but it meets slow (10 %)',
    );
  });

  test.each<[string, Fault[], string]>([
    ['no faults', [], 'MW1341 it has no faults'],
    [
      'more than the whole',
      [Fault.abort(503, { percent: 101 })],
      'MW1341 fault-0: percent is 101; allowed are numbers from 0 to 100',
    ],
    [
      'an answer that is none',
      [Fault.abort(200, { name: 'fine' })],
      'MW1341 fine: status 200 is no failure; allowed are whole numbers from 400 to 599',
    ],
    [
      'no delay',
      [Fault.delay(Duration.millis(0))],
      'MW1245 fault-0: the delay is 0 ms; allowed are whole milliseconds from 1 ms to 99999 hours',
    ],
    [
      'two conditions on one header',
      [Fault.abort(503, { match: [...asked, ...asked] })],
      'MW1244 fault-0: two conditions are on header x-fault, of which one request has only one',
    ],
  ])('is refused with %s', (_, faults, complaint) => {
    const { mesh } = troubled(...faults);
    expect(validate(mesh).map(({ id, message }) => `${id} ${message}`)).toEqual([complaint]);
  });

  test('is about requests, and gRPC statuses about gRPC', () => {
    const unavailable = Fault.grpcAbort('UNAVAILABLE', { name: 'gone' });
    expect(complaints(({ grpc }) => grpc, unavailable)).toEqual([]);
    expect(complaints(({ mixed }) => mixed.port('calls' as never), unavailable)).toEqual([]);
    expect(complaints(({ mixed }) => mixed, unavailable)).toEqual([
      'gone: a gRPC status is for ports that speak grpc; web of mixed speaks http',
    ]);
    expect(complaints(({ tcp }) => tcp, Fault.delay(half))).toEqual(['tcp speaks tcp, but faults hold for requests']);
  });
});
