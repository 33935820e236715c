import {
  Access,
  AccessPolicy,
  App,
  Caller,
  CircuitBreakerPolicy,
  Duration,
  Fault,
  FaultPolicy,
  Gateway,
  HashKey,
  Header,
  LoadBalancing,
  LoadBalancingPolicy,
  Mesh,
  OutlierDetectionPolicy,
  Path,
  PathChange,
  Port,
  RateLimit,
  RateLimitPolicy,
  RetryPolicy,
  Route,
  Service,
  synth,
  TimeoutPolicy,
} from 'meshwright';

const app = new App();
export const shop = new Mesh(app, 'shop');

// Who is there, and who calls whom.
const program = (name: string) => ({
  image: 'meshwright/example-shop:0.1.0',
  command: ['node', `examples/shop/services/${name}.ts`],
});

export const catalog = new Service(shop, 'catalog', {
  ports: { http: Port.http(9080) },
  workload: { ...program('catalog'), replicas: 2 },
});

export const ratings = new Service(shop, 'ratings', {
  ports: { http: Port.http(9080) },
  workload: { ...program('ratings'), env: { FLAKY: 'true' } },
});

export const reviews = new Service(shop, 'reviews', {
  ports: { http: Port.http(9080) },
  workload: program('reviews'),
  versions: {
    v1: { replicas: 2, env: { SERVICE_VERSION: 'v1' } },
    v2: { env: { SERVICE_VERSION: 'v2' } },
    v3: { env: { SERVICE_VERSION: 'v3' } },
  },
  calls: [ratings],
});

export const cartStore = new Service(shop, 'cart-store', {
  ports: { store: Port.tcp(6380) },
  workload: program('cart-store'),
});

export const cart = new Service(shop, 'cart', {
  ports: { http: Port.http(7070) },
  workload: program('cart'),
  calls: [cartStore],
});

export const web = new Service(shop, 'web', {
  ports: { http: Port.http(8080) },
  workload: program('web'),
  calls: [catalog, reviews, cart],
});

// Where requests go, and how long they may take.
new Route(reviews, 'canary', {
  parent: reviews,
  rules: [
    { name: 'canary', match: [Header.is('x-canary', 'always')], to: reviews.version('v3') },
    // v3 also gets copies of one request in twenty. Nobody sees what it answers to them.
    { name: 'split', to: reviews.split({ v1: 80, v2: 15, v3: 5 }), mirror: { to: reviews.version('v3'), percent: 5 } },
  ],
});

new Route(catalog, 'deadline', {
  parent: catalog,
  // When one replica is slow, the other is asked as well.
  rules: [{ to: catalog, timeout: Duration.seconds(1), hedge: { after: Duration.millis(300) } }],
});

// Old programs ask for /v1/products; the catalog has never heard of it.
new Route(catalog, 'old', {
  parent: catalog,
  rules: [
    {
      name: 'v1',
      match: [Path.prefix('/v1')],
      to: catalog,
      rewrite: { path: PathChange.prefix('/') },
      requestHeaders: { set: { 'x-api-version': 'v1' } },
    },
  ],
});

new Route(ratings, 'patience', {
  parent: ratings,
  rules: [{ to: ratings, timeout: Duration.seconds(2), retry: { attempts: 2, codes: [503] } }],
});

// Ratings are flaky; if they fail for good, retries must not keep them down.
new RetryPolicy(ratings, 'retries', { target: ratings, budget: { percent: 30 } });

// A user's requests stay with one replica.
new LoadBalancingPolicy(catalog, 'by-user', {
  target: catalog,
  algorithm: LoadBalancing.ringHash({ by: HashKey.header('x-user') }),
});

// What is allowed.
new AccessPolicy(cart, 'access', {
  target: cart,
  rules: [
    Access.allow({ name: 'web-only', from: [web] }),
    Access.deny({ name: 'no-delete', from: [Caller.anyone()], to: [{ methods: ['DELETE'] }] }),
  ],
});

new AccessPolicy(cartStore, 'access', {
  target: cartStore,
  rules: [Access.allow({ name: 'cart-only', from: [cart] })],
});

// How much is taken: nobody fills carts faster than people do.
new RateLimitPolicy(cart, 'limits', {
  target: cart,
  limits: [
    RateLimit.perCaller({
      name: 'filling',
      requests: 200,
      interval: Duration.seconds(1),
      to: [{ methods: ['POST', 'PUT'] }],
    }),
  ],
});

// How much may be under way: when ratings are slow, callers are told so at once instead of piling up.
new CircuitBreakerPolicy(ratings, 'limits', { target: ratings, maxRequests: 500, maxPendingRequests: 100 });

// How long callers wait for reviews, whatever version answers.
new TimeoutPolicy(reviews, 'time', { target: reviews, request: Duration.seconds(5), streamIdle: Duration.seconds(3) });

// A replica that fails time and again is left alone for a while.
new OutlierDetectionPolicy(reviews, 'v1-outliers', { target: reviews.version('v1'), consecutiveGatewayErrors: 5 });

// What goes wrong on purpose, for tests that ask for it.
new FaultPolicy(ratings, 'trouble', {
  target: ratings,
  faults: [
    Fault.abort(503, { name: 'down', match: [Header.is('x-fault', 'ratings-down')] }),
    Fault.delay(Duration.millis(500), { name: 'slow', match: [Header.is('x-fault', 'ratings-slow')] }),
  ],
});

// The way in.
export const gateway = new Gateway(shop, 'shop', { listeners: { http: { port: 80 } } });

new Route(gateway, 'storefront', {
  parent: gateway,
  rules: [
    {
      name: 'old-cart',
      match: [Path.prefix('/old-cart')],
      redirect: { path: PathChange.prefix('/api/cart') },
    },
    {
      name: 'web',
      to: web,
      // Only services ask for faults, never who comes from outside.
      requestHeaders: { remove: ['x-fault'] },
      responseHeaders: { set: { 'x-powered-by': 'meshwright' }, remove: ['server'] },
      cors: { allowOrigins: ['https://*.shop.example'], maxAge: Duration.hours(1) },
    },
  ],
});

if (import.meta.main) synth(app);
