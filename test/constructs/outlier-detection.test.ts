import { describe, expect, test } from '@jest/globals';
import { Duration, OutlierDetectionPolicy, type OutlierDetectionPolicyProps, Route, validate } from 'meshwright';
import { simulate } from 'meshwright/testing';
import { parseObject } from '../../runtime/resources/index.ts';
import { objectsOf, smallMesh } from './given.ts';

const complaints = (mesh: Parameters<typeof validate>[0]) =>
  validate(mesh).map(({ id, message }) => `${id} ${message}`);

describe('an outlier detection policy', () => {
  test('becomes an object that the controller reads', () => {
    const { mesh, reviews } = smallMesh();
    new OutlierDetectionPolicy(mesh, 'all', {
      target: reviews.version('v1'),
      consecutive5xxErrors: 5,
      consecutiveGatewayErrors: 3,
      failurePercentage: { threshold: 40, minRequests: 50, interval: Duration.seconds(30) },
      baseEjectionTime: Duration.seconds(10),
      maxEjectionTime: Duration.minutes(2),
      maxEjectionPercent: 34,
    });
    new OutlierDetectionPolicy(mesh, 'few', { target: reviews.port('http'), failurePercentage: { threshold: 50 } });
    const { all, few } = objectsOf(mesh, 'OutlierDetectionPolicy');
    for (const object of [all, few]) expect(parseObject(object, 'test').findings).toBeUndefined();
    expect(all.spec).toEqual({
      targetRefs: [{ group: '', kind: 'Service', name: 'reviews-v1' }],
      consecutive5xxErrors: 5,
      consecutiveGatewayErrors: 3,
      failurePercentage: { threshold: 40, minRequests: 50, interval: '30s' },
      baseEjectionTime: '10s',
      maxEjectionTime: '2m',
      maxEjectionPercent: 34,
    });
    expect(few.spec.failurePercentage).toEqual({ threshold: 50 });
  });

  test('is named by simulate, for the target that it is about', () => {
    const { mesh, reviews, web } = smallMesh();
    new Route(mesh, 'split', { parent: reviews, rules: [{ to: reviews.split({ v1: 1, v2: 1 }) }] });
    new OutlierDetectionPolicy(mesh, 'v1', { target: reviews.version('v1'), consecutive5xxErrors: 5 });
    const { outlierDetection, why } = simulate(mesh, { from: web, to: reviews });
    expect(outlierDetection).toMatchObject({ 'reviews-v1': { consecutiveErrors: 5, maxEjectionPercent: 50 } });
    expect(Object.keys(outlierDetection)).toEqual(['reviews-v1']);
    expect(why).toContain(
      'endpoints of shop/reviews-v1 are judged by OutlierDetectionPolicy shop/v1: ejected after 5 errors in a row, for 30 s and longer, 50% of them at most',
    );
    expect(simulate(mesh, { to: reviews }).outlierDetection).toEqual({});
  });

  test.each<[string, Omit<OutlierDetectionPolicyProps, 'target'>, string]>([
    ['nothing to go by', {}, 'it says nothing of when an endpoint is ejected'],
    [
      'no errors',
      { consecutive5xxErrors: 0 },
      'consecutive5xxErrors is 0; allowed are whole numbers from 1 to 1000000',
    ],
    [
      'fewer',
      { consecutiveGatewayErrors: -1 },
      'consecutiveGatewayErrors is -1; allowed are whole numbers from 1 to 1000000',
    ],
    [
      'more failures than requests',
      { failurePercentage: { threshold: 101 } },
      'failurePercentage.threshold is 101; allowed are whole numbers from 1 to 100',
    ],
    [
      'less than no time',
      { consecutive5xxErrors: 1, baseEjectionTime: Duration.millis(1) },
      'baseEjectionTime is 1 ms; allowed are whole milliseconds from 1000 ms to 3600000 ms',
    ],
    [
      'an end before the beginning',
      { consecutive5xxErrors: 1, baseEjectionTime: Duration.minutes(1), maxEjectionTime: Duration.seconds(30) },
      'maxEjectionTime is 30000 ms; allowed are whole milliseconds from 60000 ms to 86400000 ms',
    ],
    [
      'more than all',
      { consecutive5xxErrors: 1, maxEjectionPercent: 101 },
      'maxEjectionPercent is 101; allowed are whole numbers from 1 to 100',
    ],
  ])('is refused with %s', (_, props, complaint) => {
    const { mesh, reviews } = smallMesh();
    new OutlierDetectionPolicy(mesh, 'outliers', { target: reviews, ...props });
    expect(complaints(mesh)).toEqual([`MW1373 ${complaint}`]);
  });

  test('is one for each target', () => {
    const { mesh, reviews } = smallMesh();
    for (const name of ['a', 'b']) {
      new OutlierDetectionPolicy(mesh, name, { target: reviews, consecutive5xxErrors: 1 });
    }
    expect(complaints(mesh)).toEqual(['MW1374 shop/a already judges the endpoints of service shop/reviews']);
  });
});
