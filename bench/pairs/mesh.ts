import {
  type Endpoints,
  formatSpiffeId,
  type HttpRule,
  type Service,
  type Workload,
} from '../../runtime/model/index.ts';
import { benchIdentity } from '../certificates.ts';

/** The measured mesh: the workload `bench/client` calls the service `bench/app`. */
export const appService = 'bench/app';
/** The port that clients of the service use. */
export const servicePort = 80;
/** The port of the application's container. */
export const containerPort = 8080;

const forward = {
  kind: 'forward',
  backends: [{ target: { service: appService, port: servicePort }, weight: 1 }],
} as const satisfies HttpRule['action'];

const common = {
  route: { kind: 'HTTPRoute', namespace: 'bench', name: 'app' },
  mirrors: [],
  timeouts: { request: 15_000 },
  action: forward,
} as const satisfies Partial<HttpRule>;

/** On failures to connect and refused streams only, as the peers have it. */
const retry = { attempts: 2, codes: [], backoff: 25 } as const satisfies HttpRule['retry'];

/** What the peers' configurations route by: a header, a prefix, and the rest. */
const rules: readonly HttpRule[] = [
  {
    ...common,
    name: 'tester',
    retry,
    matches: [
      {
        path: { kind: 'prefix', value: '/' },
        headers: [{ name: 'x-user', value: { kind: 'exact', value: 'tester' } }],
        query: [],
      },
    ],
  },
  { ...common, name: 'admin', matches: [{ path: { kind: 'prefix', value: '/admin' }, headers: [], query: [] }] },
  { ...common, name: 'rest', retry, matches: [{ path: { kind: 'prefix', value: '/' }, headers: [], query: [] }] },
];

const service = {
  kind: 'service',
  name: appService,
  hosts: ['app.bench', 'app.bench.svc.cluster.local'],
  addresses: [],
  ports: [{ port: servicePort, name: 'http', protocol: 'http', rules }],
  balancer: { kind: 'peak-ewma' },
} as const satisfies Service;

const workload = {
  kind: 'workload',
  namespace: 'bench',
  trustDomain: benchIdentity('app').trustDomain,
  mtls: 'strict',
  ports: [],
  access: [],
  calls: [],
} as const satisfies Partial<Workload>;

const client: Workload = { ...workload, name: 'bench/client', serviceAccount: 'client', calls: [appService] };

const app: Workload = {
  ...workload,
  name: 'bench/app',
  serviceAccount: 'app',
  service: appService,
  ports: [{ port: containerPort, protocol: 'http' }],
  access: [
    {
      policy: { kind: 'AccessPolicy', namespace: 'bench', name: 'app' },
      rules: [
        {
          name: 'client-reads',
          action: 'allow',
          from: [{ kind: 'service-account', namespace: 'bench', name: 'client' }],
          to: [{ methods: ['GET'], paths: [{ kind: 'prefix', value: '/' }] }],
        },
      ],
    },
  ],
};

/** What the sidecar of the caller knows. `inbound` is where the sidecar of the application listens. */
export function clientResources(inbound: number): [Workload, Service, Endpoints] {
  const identity = formatSpiffeId(benchIdentity('app'));
  const endpoint = { address: '127.0.0.1', ports: { [servicePort]: inbound }, identity, workload: app.name };
  return [client, service, { kind: 'endpoints', name: appService, endpoints: [endpoint] }];
}

/** What the sidecar of the application knows. */
export const appResources: readonly [Workload] = [app];
