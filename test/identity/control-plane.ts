import type { AddressInfo } from 'node:net';
import {
  type Authority,
  CertificateAuthority,
  createAuthoritySvidSource,
  createTokenKeys,
  issueWorkloadToken,
  verifyWorkloadToken,
} from '../../runtime/identity/authority.ts';
import { controllerIdentity, createSvidSource, type Logger, type SvidSource } from '../../runtime/identity/index.ts';
import { type Clock, type ResourceKind, type SpiffeId, systemClock } from '../../runtime/model/index.ts';
import {
  type ControlPlaneHandler,
  createControlPlaneHandler,
  createControlPlaneServer,
  DiscoveryCache,
} from '../../runtime/xds/server.ts';

export const trustDomain = 'shop.local';
export const random = () => 0.5;

export const silent: Logger = { info: () => {}, warn: () => {} };

export interface ControlPlaneSettings {
  readonly authority?: Authority;
  readonly identity?: SpiffeId;
  readonly authorize?: (identity: SpiffeId, kind: ResourceKind, name: string) => boolean;
  readonly clock?: Clock;
  readonly cache?: DiscoveryCache;
  readonly port?: number;
}

/** A control plane on a loopback port, with its authority and an issuer of workload tokens. */
export class TestControlPlane implements AsyncDisposable {
  readonly authority: Authority;
  readonly cache: DiscoveryCache;
  readonly handler: ControlPlaneHandler;
  readonly address: string;
  /** The controller's own certificate. */
  readonly svid: SvidSource;
  readonly #close: () => Promise<void>;
  readonly #tokenKeys: ReturnType<typeof createTokenKeys>;

  private constructor(
    parts: Pick<TestControlPlane, 'authority' | 'cache' | 'handler' | 'address' | 'svid'>,
    keys: ReturnType<typeof createTokenKeys>,
    close: () => Promise<void>,
  ) {
    this.authority = parts.authority;
    this.cache = parts.cache;
    this.handler = parts.handler;
    this.address = parts.address;
    this.svid = parts.svid;
    this.#tokenKeys = keys;
    this.#close = close;
  }

  static async start(settings: ControlPlaneSettings = {}): Promise<TestControlPlane> {
    const clock = settings.clock ?? systemClock;
    const authority = settings.authority ?? (await CertificateAuthority.create({ trustDomain, clock }));
    const keys = createTokenKeys();
    const cache = settings.cache ?? new DiscoveryCache();
    const handler = createControlPlaneHandler({
      authority,
      verifyToken: (token) => verifyWorkloadToken(token, { publicKeyPem: keys.publicKeyPem, clock }),
      cache,
      authorize: settings.authorize ?? (() => true),
      clock,
      logger: silent,
    });
    const id = settings.identity ?? controllerIdentity(trustDomain);
    const svid = createAuthoritySvidSource({ authority, id, clock, random, logger: silent });
    await svid.start();
    const server = createControlPlaneServer({ svid, handler });
    await new Promise<void>((resolve) => server.listen(settings.port ?? 0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const close = async () => {
      svid.close();
      handler.close();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    };
    return new TestControlPlane({ authority, cache, handler, address: `127.0.0.1:${port}`, svid }, keys, close);
  }

  get port(): number {
    return Number(this.address.split(':')[1]);
  }

  /** A token of a workload, as its platform would mount it. */
  token(options: { serviceAccount?: string; ttl?: number; audience?: string; clock?: Clock } = {}): Promise<string> {
    const { serviceAccount = 'reviews', ttl = 3_600_000, audience, clock = systemClock } = options;
    return issueWorkloadToken(
      { namespace: 'shop', serviceAccount, pod: `${serviceAccount}-0` },
      { privateKeyPem: this.#tokenKeys.privateKeyPem, ttl, clock, audience },
    );
  }

  /** The SVID source of a proxy. */
  svidSource(options: Partial<Parameters<typeof createSvidSource>[0]> = {}): SvidSource {
    return createSvidSource({
      controllerAddress: this.address,
      bundlePem: async () => this.authority.bundlePem,
      token: () => this.token(),
      id: workload('reviews'),
      clock: systemClock,
      random,
      logger: silent,
      ...options,
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}

export function workload(serviceAccount: string): SpiffeId {
  return { trustDomain, namespace: 'shop', serviceAccount };
}
