import { describe, expect, test } from '@jest/globals';
import { App, Duration, Mesh, type MeshLimits, validate } from 'meshwright';
import { proxyLimitNames, proxyLimits } from '../../runtime/model/index.ts';
import { parseObject } from '../../runtime/resources/index.ts';
import { objectsOf } from './given.ts';

const meshWith = (limits?: MeshLimits) => new Mesh(new App(), 'shop', { limits });

describe('limits of a mesh', () => {
  test('become fields of its object that the controller reads', () => {
    const mesh = meshWith({ maxHeaders: 200, idleTimeout: Duration.minutes(90), replayBytes: 0 });
    const { default: object } = objectsOf(mesh, 'Mesh');
    expect(validate(mesh)).toEqual([]);
    expect(parseObject(object, 'test').findings).toBeUndefined();
    expect(object.spec.limits).toEqual({ maxHeaders: 200, idleTimeout: '1h30m', replayBytes: 0 });
  });

  test('leave no trace where none is stated', () => {
    for (const limits of [undefined, {}]) {
      expect(objectsOf(meshWith(limits), 'Mesh').default.spec).not.toHaveProperty('limits');
    }
  });

  test('that are out of bounds are refused, whoever writes them', () => {
    const mesh = meshWith({ maxHeaders: 5, headTimeout: Duration.hours(2), maxPending: 1.5 });
    expect(validate(mesh).map(({ id, message }) => `${id} ${message}`)).toEqual([
      'MW1149 limit maxHeaders is 5; allowed are whole numbers from 10 to 10000',
      'MW1149 limit headTimeout is 7200000 ms; allowed are whole numbers from 100 to 3600000 ms',
      'MW1149 limit maxPending is 1.5; allowed are whole numbers from 1 to 100000',
    ]);
    const byHand = { maxHeaders: 5, headTimeout: '2h', maxPending: 1.5, noSuch: 1 };
    const object = { ...objectsOf(meshWith(), 'Mesh').default, spec: { limits: byHand } };
    expect(parseObject(object, 'test').findings).toHaveLength(4);
  });

  test.each(proxyLimitNames)('%s may be its least, its most and its default', (name) => {
    const { unit, least, most, default: usual } = proxyLimits[name];
    for (const value of [least, usual, most]) {
      const mesh = meshWith({ [name]: unit === 'milliseconds' ? Duration.millis(value) : value });
      expect(validate(mesh)).toEqual([]);
      expect(parseObject(objectsOf(mesh, 'Mesh').default, 'test').findings).toBeUndefined();
    }
  });
});
