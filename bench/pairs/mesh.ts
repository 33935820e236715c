import {
  type Endpoints,
  formatSpiffeId,
  type HttpRule,
  type Protocol,
  type Resource,
  type Service,
  type Workload,
} from '../../runtime/model/index.ts';
import { benchIdentity } from './certificates.ts';
import { type Application, knownServices, methodOf } from './pair.ts';

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

/** What our configuration calls what the application speaks. */
const protocols: Readonly<Record<Application, Protocol>> = { http: 'http', grpc: 'grpc' };

const workload = {
  kind: 'workload',
  namespace: 'bench',
  trustDomain: benchIdentity('app').trustDomain,
  mtls: 'strict',
  ports: [],
  access: [],
  calls: [],
} as const satisfies Partial<Workload>;

/**
 * What the sidecar of the caller knows: the application's service, whose sidecar listens at the port `inbound`, and
 * `others` services that it does not call.
 */
export function clientResources(inbound: number, application: Application, others: number): Resource[] {
  const identity = formatSpiffeId(benchIdentity('app'));
  const names = [appService, ...knownServices(others).map((name) => `bench/${name}`)];
  const client: Workload = { ...workload, name: 'bench/client', serviceAccount: 'client', calls: names };
  return [
    client,
    ...names.flatMap((name): [Service, Endpoints] => {
      const host = `${name.slice('bench/'.length)}.bench`;
      const endpoint = { address: '127.0.0.1', ports: { [servicePort]: inbound }, identity, workload: name };
      return [
        {
          kind: 'service',
          name,
          hosts: [host, `${host}.svc.cluster.local`],
          addresses: [],
          ports: [{ port: servicePort, name: 'main', protocol: protocols[application], rules: rulesOf(name) }],
          balancer: { kind: 'peak-ewma' },
        },
        { kind: 'endpoints', name, endpoints: [endpoint] },
      ];
    }),
  ];
}

/** The services nobody calls have one rule, as their routes in Envoy. */
function rulesOf(service: string): readonly HttpRule[] {
  if (service === appService) return rules;
  const backends = [{ target: { service, port: servicePort }, weight: 1 }];
  return [{ ...rules[2], action: { kind: 'forward', backends } }];
}

/** What the sidecar of the application knows. */
export function appResources(application: Application): [Workload] {
  return [
    {
      ...workload,
      name: 'bench/app',
      serviceAccount: 'app',
      service: appService,
      ports: [{ port: containerPort, protocol: protocols[application] }],
      access: [
        {
          policy: { kind: 'AccessPolicy', namespace: 'bench', name: 'app' },
          rules: [
            {
              name: 'client-reads',
              action: 'allow',
              from: [{ kind: 'service-account', namespace: 'bench', name: 'client' }],
              to: [{ methods: [methodOf(application)], paths: [{ kind: 'prefix', value: '/' }] }],
            },
          ],
        },
      ],
    },
  ];
}
