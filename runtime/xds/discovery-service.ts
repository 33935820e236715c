import { Code, ConnectError, type ConnectRouter, createContextKey } from '@connectrpc/connect';
import type { Logger } from '../identity/index.ts';
import { type Clock, formatSpiffeId, type ResourceKind, type SpiffeId } from '../model/index.ts';
import type { DiscoveryCache } from './discovery-cache.ts';
import { AggregatedDiscoveryService } from './gen/envoy/service/discovery/v3/ads_pb.js';
import type { DeltaDiscoveryRequest } from './gen/envoy/service/discovery/v3/discovery_pb.js';
import type { ProxyStatus } from './proxy-status.ts';
import { ProxyStream } from './proxy-stream.ts';
import { SubscriptionError } from './subscription.ts';

/** Who is at the other end of a connection, as its verified certificate says. */
export interface Peer {
  readonly identity: SpiffeId;
  /** When the certificate expires, in wall-clock milliseconds. */
  readonly notAfter: number;
}

export const peerKey = createContextKey<Peer | undefined>(undefined);

export interface DiscoveryServiceOptions {
  readonly cache: DiscoveryCache;
  /** Whether a proxy of this identity may see a resource. */
  readonly authorize: (identity: SpiffeId, kind: ResourceKind, name: string) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Delta ADS for the proxies of the mesh: who they are comes from their certificate, never from what they say. */
export class DiscoveryService {
  readonly #options: DiscoveryServiceOptions;
  readonly #streams = new Set<ProxyStream>();
  readonly #stopListening: () => void;

  constructor(options: DiscoveryServiceOptions) {
    this.#options = options;
    this.#stopListening = options.cache.onChange((change) => {
      for (const stream of this.#streams) stream.noteChange(change);
    });
  }

  route(router: ConnectRouter): void {
    router.service(AggregatedDiscoveryService, {
      deltaAggregatedResources: (requests, context) =>
        this.#serve(requests, context.values.get(peerKey), context.signal),
    });
  }

  proxies(): readonly ProxyStatus[] {
    return [...this.#streams].map((stream) => stream.status()).filter((status) => status !== undefined);
  }

  reauthorize(): void {
    for (const stream of this.#streams) stream.review();
  }

  close(): void {
    this.#stopListening();
    for (const stream of this.#streams) stream.end(new ConnectError('the controller is stopping', Code.Unavailable));
  }

  async *#serve(requests: AsyncIterable<DeltaDiscoveryRequest>, peer: Peer | undefined, signal: AbortSignal) {
    const { clock, logger } = this.#options;
    if (!peer || peer.notAfter <= clock.wallTime()) {
      logger.warn({}, 'a discovery stream without a valid client certificate was refused');
      throw new ConnectError('a client certificate of this trust domain is required', Code.Unauthenticated);
    }
    const stream = new ProxyStream({ ...this.#options, identity: peer.identity });
    const expiry = clock.schedule(peer.notAfter - clock.wallTime(), () =>
      stream.end(new ConnectError('the client certificate has expired', Code.Unauthenticated)),
    );
    signal.addEventListener('abort', () => stream.end());
    this.#streams.add(stream);
    void this.#read(stream, requests, peer.identity);
    try {
      yield* stream.responses();
    } finally {
      this.#streams.delete(stream);
      expiry.cancel();
    }
  }

  async #read(stream: ProxyStream, requests: AsyncIterable<DeltaDiscoveryRequest>, identity: SpiffeId): Promise<void> {
    try {
      for await (const request of requests) stream.receive(request);
      stream.end();
    } catch (error) {
      if (error instanceof SubscriptionError) {
        this.#options.logger.warn(
          { identity: formatSpiffeId(identity), reason: error.message },
          'a discovery stream was refused',
        );
        stream.end(new ConnectError(error.message, Code.InvalidArgument));
      } else {
        stream.end(error instanceof Error ? error : new Error(String(error)));
      }
    }
  }
}
