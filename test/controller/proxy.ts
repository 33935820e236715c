import type { Controller } from '../../runtime/controller/index.ts';
import { issueWorkloadToken, type TokenKeys } from '../../runtime/identity/authority.ts';
import { createSvidSource, type Logger, type SvidSource } from '../../runtime/identity/index.ts';
import { type Finding, type Resource, type ResourceKind, systemClock } from '../../runtime/model/index.ts';
import { DiscoveryClient, type DiscoveryUpdate } from '../../runtime/xds/index.ts';

export const silent: Logger = { info: () => {}, warn: () => {} };

export type Reachable = Pick<Controller, 'address' | 'bundlePem' | 'trustDomain'>;

interface ProxySettings {
  /** What its token is signed with; or the token itself. */
  readonly keys: TokenKeys | string;
  readonly serviceAccount: string;
  readonly subscribe: Partial<Record<ResourceKind, readonly string[]>>;
  /** `host:port` of its admin port. */
  readonly admin?: string;
  /** What it says to an update. @default - it takes all */
  readonly judge?: (update: DiscoveryUpdate) => readonly Finding[];
}

/** The control-plane side of a sidecar: certificate and discovery, with what came. */
export class TestProxy {
  readonly updates: DiscoveryUpdate[] = [];
  readonly resources = new Map<string, Resource>();
  readonly svid: SvidSource;
  readonly client: DiscoveryClient;

  private constructor(controller: Reachable, settings: ProxySettings) {
    const { keys, serviceAccount, subscribe, judge, admin } = settings;
    const pod = `${serviceAccount}-0`;
    this.svid = TestProxy.svidSource(controller, keys, serviceAccount);
    this.client = new DiscoveryClient({
      address: controller.address,
      credentials: () => this.svid.current(),
      node: { id: `${pod}.shop`, metadata: { workload: `shop/${serviceAccount}`, ...(admin ? { admin } : {}) } },
      onUpdate: (update) => {
        // One that is empty says that there is nothing.
        if (update.updates.length + update.removed.length > 0) this.updates.push(update);
        const findings = judge?.(update) ?? [];
        if (findings.length) return findings;
        for (const resource of update.updates) this.resources.set(`${resource.kind} ${resource.name}`, resource);
        for (const name of update.removed) this.resources.delete(`${update.kind} ${name}`);
        return [];
      },
      clock: systemClock,
      random: () => 0,
      logger: silent,
    });
    for (const [kind, names] of Object.entries(subscribe)) this.client.subscribe(kind as ResourceKind, names);
  }

  /** The certificate of a service account, asked for with a token made with these keys. */
  static svidSource(controller: Reachable, keys: TokenKeys | string, serviceAccount: string): SvidSource {
    return createSvidSource({
      controllerAddress: controller.address,
      bundlePem: async () => controller.bundlePem,
      token: async () => {
        if (typeof keys === 'string') return keys;
        const claims = { namespace: 'shop', serviceAccount, pod: `${serviceAccount}-0` };
        return issueWorkloadToken(claims, { privateKeyPem: keys.privateKeyPem, ttl: 60_000, clock: systemClock });
      },
      id: { trustDomain: controller.trustDomain, namespace: 'shop', serviceAccount },
      clock: systemClock,
      random: () => 0,
      logger: silent,
    });
  }

  static async start(controller: Reachable, settings: ProxySettings): Promise<TestProxy> {
    const proxy = new TestProxy(controller, settings);
    await proxy.svid.start();
    proxy.client.start();
    return proxy;
  }

  close(): void {
    this.client.close();
    this.svid.close();
  }
}
