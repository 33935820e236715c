import { expect, it } from '@jest/globals';
import { formatMesh } from '../../runtime/cli/live-view.ts';

it('shows every version, also one that nobody calls or that is not ready', () => {
  const service = { hosts: [], ports: [], balancer: 'peak-ewma', endpoints: 2 };
  const services = [
    {
      ...service,
      name: 'shop/reviews',
      versions: [
        { version: 'v1', workload: 'shop/reviews-v1', endpoints: 2 },
        { version: 'v2', workload: 'shop/reviews-v2', endpoints: 0 },
      ],
    },
    { ...service, name: 'shop/reviews-v1', versions: [] },
  ];
  const stats = [{ service: 'shop/reviews', version: 'v1', rps: 5, success: 1, p50: 2, p99: 30, mtls: 1 }];
  expect(formatMesh(services, stats).split('\n')).toEqual([
    'SERVICE       VERSION  READY  RPS  SUCCESS     P50    P99  MTLS',
    'shop/reviews  v1           2  5.0     100%  2.0 ms  30 ms  100%',
    'shop/reviews  v2           0  0.0        -       -      -     -',
  ]);
});
