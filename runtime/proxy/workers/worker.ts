import { loopIdleTime, type Resource, resourceKinds, systemClock } from '../../model/index.ts';
import { noAccessLog, openAccessLog } from '../../telemetry/index.ts';
import type { ProxyContext } from '../exchange-plan.ts';
import { defaultProxyLimits } from '../limits.ts';
import { MeshProxy } from '../mesh-proxy.ts';
import { ProxyMetrics } from '../metrics.ts';
import { ownAddresses } from '../own-addresses.ts';
import type { FromWorker, ToWorker } from './messages.ts';

/** The end of the channel that a worker has; `process` fits. */
export interface WorkerChannel {
  send?(message: FromWorker): unknown;
  on(event: 'message', listener: (message: ToWorker) => void): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
}

export interface Worker {
  /** Resolves when it takes connections. */
  readonly listening: Promise<void>;
  /** Resolves when it is to end; rejects when it cannot listen. */
  readonly over: Promise<void>;
  /** Lets what is under way finish. */
  close(): Promise<void>;
}

/**
 * Carries a share of a proxy's connections. Certificate and configuration come from the proxy's first process, which
 * has the discovery connection and the admin port; it ends with that one.
 */
export function runWorker(channel: WorkerChannel): Worker {
  const over = Promise.withResolvers<void>();
  const listening = Promise.withResolvers<void>();
  const metrics = new ProxyMetrics();
  let accessLog = noAccessLog;
  let proxy: MeshProxy | undefined;

  const start = async ({ bootstrap, svid, resources }: Extract<ToWorker, { type: 'start' }>): Promise<void> => {
    const clock = systemClock;
    if (bootstrap.accessLog) {
      accessLog = openAccessLog(bootstrap.accessLog, clock, (entries) => metrics.logEntriesDropped.add(entries), {
        shared: true,
      });
    }
    const context: ProxyContext = {
      clock,
      random: Math.random,
      idleTime: loopIdleTime,
      limits: defaultProxyLimits,
      metrics,
      accessLog,
    };
    proxy = new MeshProxy(bootstrap, context, ownAddresses());
    for (const kind of resourceKinds)
      apply(
        resources.filter((resource) => resource.kind === kind),
        kind,
        [],
      );
    proxy.setSvid(svid);
    // When the certificate ends is told once for all processes.
    metrics.certificateExpiry.value = 0;
    await proxy.listen();
    channel.send?.({ type: 'listening' });
    listening.resolve();
  };
  // What it refuses of them the first process has refused as well, and told.
  const apply = (updates: readonly Resource[], kind: Resource['kind'], removed: readonly string[]): void => {
    proxy?.apply(updates, kind, removed);
  };

  channel.on('message', (message) => {
    switch (message.type) {
      case 'start':
        start(message).catch(over.reject);
        break;
      case 'svid':
        proxy?.setSvid(message.svid);
        metrics.certificateExpiry.value = 0;
        break;
      case 'change':
        apply(message.updates, message.kind, message.removed);
        break;
      case 'metrics':
        channel.send?.({ type: 'metrics', text: metrics.registry.expose() });
        break;
      case 'drain':
        over.resolve();
        break;
    }
  });
  channel.on('disconnect', () => over.resolve());
  channel.send?.({ type: 'hello' });
  return {
    listening: listening.promise,
    over: over.promise,
    async close() {
      await proxy?.drain();
      await accessLog.close();
    },
  };
}
