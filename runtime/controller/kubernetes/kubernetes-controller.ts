import { randomUUID } from 'node:crypto';
import { CertificateAuthority } from '../../identity/authority.ts';
import type { Logger } from '../../identity/index.ts';
import { defaultSettings } from '../../injection/index.ts';
import type { KubernetesApi } from '../../kubernetes/index.ts';
import { type Clock, FindingsError, type Random, systemClock } from '../../model/index.ts';
import { controlPlane } from '../../resources/index.ts';
import type { AuthorityStore } from '../authority/authority-store.ts';
import { SecretAuthorityStore } from '../authority/secret-authority-store.ts';
import { type Controller, startController } from '../controller.ts';
import { listen } from '../listen.ts';
import { createEventRecorder } from '../webhook/events.ts';
import { createWebhook } from '../webhook/server.ts';
import { ServingCertificateRenewal } from '../webhook/serving-certificate.ts';
import { pause } from './backoff.ts';
import { ClusterWriter } from './cluster-writer.ts';
import { createKubernetesProvider } from './kubernetes-provider.ts';
import { LeaderElection } from './leader-election.ts';
import { SharedRefusals } from './shared-refusals.ts';
import { createTokenReview } from './token-review.ts';

export interface KubernetesControllerOptions {
  /** The cluster whose mesh this is. The controller closes it. */
  readonly api: KubernetesApi;
  /** `host:port` for the proxies; without host on all addresses. */
  readonly listen: string;
  /** `host:port` for admission reviews and probes; without host on all addresses. */
  readonly webhook: string;
  /** `host:port` for the API; loopback, as it asks nobody who they are. */
  readonly apiAddress: string;
  /** Name of the pod that this controller runs in. */
  readonly pod: string;
  /** Where the Lease and the Secret of the authority are. @default - meshwright-system */
  readonly namespace?: string;
  /** Image of the sidecars. @default - that of this version */
  readonly sidecarImage?: string;
  /** Of a certificate authority that has to be made; else that of the oldest Mesh which names one. */
  readonly trustDomain?: string;
  /** Milliseconds from being told to stop until proxies are sent away: those who reach it by its Service must notice. */
  readonly farewell: number;
  /** Milliseconds over which proxies are sent away. */
  readonly drain: number;
  readonly logger: Logger;
  /** @default - the machine's clock */
  readonly clock?: Clock;
  /** @default - Math.random */
  readonly random?: Random;
}

export interface KubernetesController extends Pick<Controller, 'address' | 'api' | 'trustDomain' | 'findings'> {
  readonly bundlePem: string;
  /** `host:port` for admission reviews and probes. */
  readonly webhook: string;
  /** Whether this controller is the one that writes to the cluster. */
  readonly leading: boolean;
  /** Hands over to the other controllers, then ends. */
  close(): Promise<void>;
}

/**
 * Runs the control plane of a cluster's mesh: one of several controllers that all serve proxies and admission reviews,
 * and of which one writes.
 *
 * @returns when it is ready; rejects where a port is in use or the authority cannot be read. While the API server does
 *   not answer it waits.
 */
export async function startKubernetesController(options: KubernetesControllerOptions): Promise<KubernetesController> {
  const opened: (() => unknown)[] = [() => options.api.close()];
  const end = async () => {
    for (const each of opened.splice(0).reverse()) await each();
  };
  try {
    return await start(options, opened, end);
  } catch (error) {
    await end();
    throw error;
  }
}

/** Adds to `opened` what has to be closed, in the order in which it was opened. */
async function start(
  options: KubernetesControllerOptions,
  opened: (() => unknown)[],
  end: () => Promise<void>,
): Promise<KubernetesController> {
  const { api, pod, namespace = controlPlane.namespace, logger, clock = systemClock, random = Math.random } = options;
  const common = { api, clock, random, logger };
  const provider = createKubernetesProvider(common);
  const store = new SecretAuthorityStore({ api, namespace });
  let isLeader = () => false;
  const controller = await startController({
    provider,
    trustDomain: async () => (await storedTrustDomain(store, clock)) ?? options.trustDomain,
    authorityStore: () => store,
    verifyToken: createTokenReview(api),
    isLeader: () => isLeader(),
    listen: options.listen,
    api: options.apiAddress,
    logger,
    clock,
    random,
  });
  opened.push(() => controller.close());

  let notReady: string | undefined = 'it is starting';
  const { trustDomain, authority } = controller;
  const settings = { ...defaultSettings, trustDomain, ...(options.sidecarImage && { image: options.sidecarImage }) };
  const { server, setCertificate } = createWebhook({
    settings: () => settings,
    recordEvent: createEventRecorder({ api, clock, logger, instance: pod }),
    notReady: () => notReady,
    logger,
  });
  const certificate = new ServingCertificateRenewal({
    authority: () => authority,
    dnsNames: [`${controlPlane.name}.${controlPlane.namespace}.svc`],
    onChange: setCertificate,
    clock,
    random,
    logger,
  });
  opened.push(() => certificate.close());
  authority.onChange(() => void certificate.renew());
  await certificate.renew();
  const webhook = await listen(server, options.webhook);
  opened.push(webhook.close);

  const shared = new SharedRefusals({
    ...common,
    namespace,
    pod,
    own: () => controller.refusals(),
    isLeader: () => isLeader(),
  });
  opened.push(() => shared.close());
  const writer = new ClusterWriter({ ...common, provider, controller, othersRefusals: () => shared.others });
  opened.push(() => writer.stop());
  const election = new LeaderElection({
    ...common,
    namespace,
    name: controlPlane.name,
    // A container that starts again in the same pod is another process.
    identity: `${pod}_${randomUUID()}`,
    onLead: () => writer.start(),
    onLose: () => writer.stop(),
  });
  opened.push(() => election.close());
  isLeader = () => election.leading;
  election.start();
  shared.start();
  notReady = undefined;

  return {
    address: controller.address,
    api: controller.api,
    webhook: webhook.address,
    trustDomain,
    get bundlePem() {
      return controller.bundlePem;
    },
    get leading() {
      return election.leading;
    },
    findings: controller.findings,
    async close() {
      notReady = 'it is stopping';
      controller.leave();
      // The others need not wait for the lease to end.
      await election.close();
      await pause(clock, options.farewell, new AbortController().signal);
      await controller.drain(options.drain);
      await end();
    },
  };
}

/** That of the authority there is: the mesh stays what it is when its Mesh object goes. */
async function storedTrustDomain(store: AuthorityStore, clock: Clock): Promise<string | undefined> {
  try {
    const stored = await store.read();
    return stored && (await CertificateAuthority.load({ ...stored.files, clock })).trustDomain;
  } catch (error) {
    // What is wrong with it is told when it is opened.
    if (error instanceof FindingsError) return undefined;
    throw error;
  }
}
