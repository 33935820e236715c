import {
  Access,
  AccessPolicy,
  App,
  Duration,
  Gateway,
  GrpcMethod,
  GrpcRoute,
  Match,
  Mesh,
  Path,
  Port,
  RetryPolicy,
  Route,
  Service,
  synth,
  TimeoutPolicy,
} from 'meshwright';

const app = new App();
export const mesh = new Mesh(app, 'greeter', {
  // Where the load balancer before the gateway is: what it says of its clients counts.
  strangers: { trustedProxies: ['10.2.7.0/24'] },
});

const program = (name: string) => ({
  image: 'meshwright/example-greeter:0.1.0',
  command: ['node', `examples/greeter/services/${name}.ts`],
});

/** Says hello and goodbye over gRPC; the first call of a replica of v1 comes too early. */
export const greeter = new Service(mesh, 'greeter', {
  ports: { rpc: Port.grpc(50051) },
  workload: program('greeter'),
  versions: {
    v1: { replicas: 2, env: { SERVICE_VERSION: 'v1', COLD: 'true' } },
    v2: { env: { SERVICE_VERSION: 'v2' } },
  },
});

export const web = new Service(mesh, 'web', {
  ports: { http: Port.http(8080) },
  workload: program('web'),
  calls: [greeter],
});

const name = 'greeter.v1.Greeter';

/** A call goes where its method is served. */
export const calls = new GrpcRoute(greeter, 'calls', {
  parent: greeter,
  rules: [
    {
      // To say hello twice does no harm, so it may be repeated. v2 is to take over: it gets copies.
      name: 'hello',
      match: [GrpcMethod.is(name, 'Hello')],
      to: greeter.version('v1'),
      retry: { attempts: 2, statuses: ['UNAVAILABLE'] },
      mirror: { to: greeter.version('v2') },
    },
    {
      // Nobody says goodbye twice: what may have been heard is not repeated.
      name: 'goodbye',
      match: [GrpcMethod.is(name, 'Goodbye')],
      to: greeter.version('v2'),
      requestHeaders: { set: { 'x-language': 'fr' } },
    },
    // What comes later is served by the newest.
    { name: 'rest', to: greeter.version('v2') },
  ],
});

// The deadline of a call, which servers are told in grpc-timeout.
new TimeoutPolicy(greeter, 'deadline', { target: calls, request: Duration.seconds(2) });

// Retries must not be what brings v1 down.
new RetryPolicy(greeter, 'budget', {
  target: greeter.version('v1'),
  budget: { percent: 10 },
  minRetryRate: { count: 5, interval: Duration.seconds(1) },
});

new AccessPolicy(greeter, 'access', { target: greeter, rules: [Access.allow({ name: 'web-only', from: [web] })] });

export const gateway = new Gateway(mesh, 'edge', { listeners: { http: { port: 80 } } });
new Route(gateway, 'all', {
  parent: gateway,
  rules: [{ name: 'greetings', match: Match.anyOf([Path.prefix('/hello')], [Path.prefix('/goodbye')]), to: web }],
});

if (import.meta.main) synth(app);
