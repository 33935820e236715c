import { readFile } from 'node:fs/promises';
import { createSvidSource, type Logger, type Svid, type SvidSource } from '../identity/index.ts';
import {
  type Clock,
  type Finding,
  formatFinding,
  formatHostPort,
  loopIdleTime,
  type Random,
  type Resource,
  resourceKinds,
  systemClock,
  type Timer,
} from '../model/index.ts';
import { noAccessLog, openAccessLog } from '../telemetry/index.ts';
import { DiscoveryClient, type DiscoveryUpdate } from '../xds/index.ts';
import { serveAdmin } from './admin.ts';
import { type Bootstrap, parseHostPort } from './bootstrap.ts';
import { refuseOwnTraffic } from './canary.ts';
import type { ProxyContext } from './exchange-plan.ts';
import { defaultProxyLimits } from './limits.ts';
import { MeshProxy } from './mesh-proxy.ts';
import { ProxyMetrics } from './metrics.ts';
import { ownAddresses } from './own-addresses.ts';
import { RunningProbe } from './probe.ts';
import { StateDirectory } from './state.ts';
import type { WorkerProcess, Workers, WorkersOptions } from './workers/workers.ts';

export interface SidecarOptions {
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Called when `POST /quit` asks the process to end. */
  readonly onQuit?: () => void;
  /** Needed where the proxy is to have several processes. */
  readonly startWorker?: () => WorkerProcess;
}

export interface Sidecar {
  /** Resolves when traffic is taken; rejects when an address cannot be had. */
  readonly ready: Promise<void>;
  /** Drains and closes everything. */
  close(): Promise<void>;
}

/** Changes of configuration that arrive together are written to disk together, after this many milliseconds. */
const saveDelay = 200;

/**
 * Runs a proxy that gets its certificate and its configuration from the controller. While the controller is away it
 * goes on with the last of both, after a restart with those on its disk.
 */
export async function runSidecar(bootstrap: Bootstrap, options: SidecarOptions): Promise<Sidecar> {
  const { logger, clock = systemClock, random = Math.random } = options;
  if (bootstrap.transparent) await refuseOwnTraffic(bootstrap.transparent.outbound, clock);
  const metrics = new ProxyMetrics();
  const accessLog = bootstrap.accessLog
    ? openAccessLog(bootstrap.accessLog, clock, (entries) => metrics.logEntriesDropped.add(entries), {
        shared: (bootstrap.concurrency ?? 1) > 1,
      })
    : noAccessLog;
  const context: ProxyContext = {
    clock,
    random,
    idleTime: loopIdleTime,
    limits: defaultProxyLimits,
    metrics,
    accessLog,
  };
  const addresses = ownAddresses();
  const proxy = new MeshProxy(bootstrap, context, addresses);
  const state = new StateDirectory(bootstrap.stateDir);
  await state.open();

  let svid: Svid | undefined = await state.loadSvid(clock.wallTime());
  let closing: Promise<void> | undefined;
  const { transparent, adminAddress } = bootstrap;
  const ownAddress = transparent?.podIp ?? (adminAddress && parseHostPort(adminAddress).host);
  const workers = await workersOf(bootstrap, options, {
    state: () => ({ svid: svid!, resources: proxy.resources }),
    drainTimeout: () => context.limits.drainTimeout,
    restarts: metrics.workerRestarts.with(),
    clock,
    logger,
  });
  const admin = await serveAdmin(
    bootstrap.admin,
    {
      notReady: () => (closing ? 'draining' : whyNotReady()),
      metrics: () => {
        metrics.discoveryConnected.value = discovery.connected ? 1 : 0;
        const own = metrics.registry.expose();
        return workers ? workers.expose(own) : own;
      },
      config: () => ({
        id: bootstrap.id,
        workload: bootstrap.workload,
        state: proxy.state,
        resources: proxy.resources,
      }),
      quit: () => options.onQuit?.(),
      probe(name, caller, finished) {
        const { probes = {} } = bootstrap;
        const app = { host: ownAddress ?? '127.0.0.1', clock, limits: context.limits.http };
        return Object.hasOwn(probes, name) ? new RunningProbe(probes[name], caller, app, finished) : undefined;
      },
    },
    { clock, limits: context.limits.http, ownAddresses: new Set(addresses) },
  );

  const source = identitySource(bootstrap, options, clock, random);
  const whyNotReady = (): string | undefined => {
    const reason = proxy.notReady ?? workers?.notReady;
    return reason && source.problem ? `${reason}: ${formatFinding(source.problem)}` : reason;
  };

  const opened = Promise.withResolvers<void>();
  let listening = false;
  const listenWhenPossible = (): void => {
    if (listening || !svid || !proxy.hasConfiguration) return;
    listening = true;
    const workersListen = () => workers?.start((bootstrap.concurrency ?? 1) - 1);
    proxy.listen().then(workersListen).then(opened.resolve, opened.reject);
  };
  const takeSvid = (next: Svid): void => {
    svid = next;
    proxy.setSvid(next);
    workers?.setSvid(next);
    listenWhenPossible();
  };

  let saving: Timer | undefined;
  const save = (): void => {
    saving?.cancel();
    saving = undefined;
    state
      .saveResources(proxy.resources)
      .catch((error) => logger.warn({ error: String(error) }, 'configuration not saved'));
  };
  const takeUpdate = ({ kind, updates, removed }: DiscoveryUpdate): readonly Finding[] => {
    const findings = proxy.apply(updates, kind, removed);
    workers?.apply({ kind, updates, removed });
    subscribe();
    saving ??= clock.schedule(saveDelay, save);
    listenWhenPossible();
    return findings;
  };

  const discovery = new DiscoveryClient({
    address: bootstrap.controller.address,
    credentials: () => svid,
    node: {
      id: bootstrap.id,
      metadata: {
        workload: bootstrap.workload,
        namespace: bootstrap.namespace,
        serviceAccount: bootstrap.serviceAccount,
        admin: formatHostPort(parseHostPort(bootstrap.adminAddress ?? bootstrap.admin)),
      },
    },
    onUpdate: takeUpdate,
    clock,
    random,
    logger,
  });
  const subscribe = (): void => {
    const wanted = proxy.subscriptions;
    for (const kind of resourceKinds) discovery.subscribe(kind, wanted[kind]);
  };

  applySaved(proxy, await state.loadResources(), logger);
  if (svid) takeSvid(svid);
  subscribe();

  source.onChange((next) => {
    takeSvid(next);
    state.saveSvid(next).catch((error) => logger.warn({ error: String(error) }, 'certificate not saved'));
  });
  const first = source.start();
  // Discovery needs a certificate to present: that of before a restart, or the first one.
  if (svid) discovery.start();
  else first.then(() => discovery.start()).catch(() => {});
  first.catch(() => {});

  return {
    ready: opened.promise,
    close() {
      closing ??= (async () => {
        await Promise.all([proxy.drain(), workers?.close()]);
        discovery.close();
        source.close();
        admin.close();
        if (saving) save();
        await state.flush().catch(() => {});
        await accessLog.close();
      })();
      return closing;
    },
  };
}

/** What was saved was good once; what is not any more (another version wrote it) is asked for anew. */
function applySaved(proxy: MeshProxy, resources: readonly Resource[], logger: Logger): void {
  for (const resource of resources) {
    try {
      proxy.apply([resource], resource.kind, []);
    } catch (error) {
      logger.warn({ error: String(error) }, 'saved configuration not understood');
    }
  }
}

/** `undefined` where the proxy is one process, as most are. */
async function workersOf(
  bootstrap: Bootstrap,
  { startWorker }: SidecarOptions,
  options: Omit<WorkersOptions, 'bootstrap' | 'startProcess'>,
): Promise<Workers | undefined> {
  if ((bootstrap.concurrency ?? 1) === 1) return undefined;
  if (!startWorker) throw new Error(`concurrency is ${bootstrap.concurrency}, but this process cannot start workers`);
  const { Workers } = await import('./workers/workers.ts');
  return new Workers({ ...options, bootstrap, startProcess: startWorker });
}

function identitySource(bootstrap: Bootstrap, options: SidecarOptions, clock: Clock, random: Random): SvidSource {
  const { trustDomain, namespace, serviceAccount, controller, tokenFile } = bootstrap;
  return createSvidSource({
    controllerAddress: controller.address,
    bundlePem: async () => controller.bundle ?? (await readFile(controller.bundleFile!, 'utf8')),
    token: () => readFile(tokenFile, 'utf8'),
    id: { trustDomain, namespace, serviceAccount },
    clock,
    random,
    logger: options.logger,
  });
}
