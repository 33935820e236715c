import { type Logger, openControllerChannel, retryDelay, type Svid } from '../identity/index.ts';
import {
  type Clock,
  type Finding,
  finding,
  formatFinding,
  type Random,
  type Resource,
  type ResourceKind,
  resourceKinds,
  type Timer,
} from '../model/index.ts';
import type { GrpcChannel, GrpcError, GrpcStream } from '../rpc/index.ts';
import { type DeltaRequest, type DeltaResponse, decodeDeltaResponse, encodeDeltaRequest } from './delta-messages.ts';
import { Interest } from './interest.ts';
import { encodeRefused } from './refused-resources.ts';
import { decodeResource, kindOfTypeUrl, kindsInOrder } from './resource-types.ts';

/** One response of the controller; all of one kind. */
export interface DiscoveryUpdate {
  readonly kind: ResourceKind;
  readonly updates: readonly Resource[];
  /** Names that are subscribed and do not exist (any more), or that this proxy may not see. */
  readonly removed: readonly string[];
}

export interface DiscoveryClientOptions {
  /** `host:port` of the controller. */
  readonly address: string;
  /** What to present and to verify with; asked for at every connection. `undefined`: try later. */
  readonly credentials: () => Svid | undefined;
  /** Who this proxy says it is. */
  readonly node: { readonly id: string; readonly metadata: Readonly<Record<string, string>> };
  /**
   * Takes an update, and refuses resources of it by findings of severity `error` whose `object` names them
   * (`service shop/reviews`); of those the version before stays in force. One that names none of them refuses all. An
   * update that is empty says that there is nothing of what was asked for.
   */
  readonly onUpdate: (update: DiscoveryUpdate) => readonly Finding[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

interface Stream {
  readonly channel: GrpcChannel;
  readonly call: GrpcStream;
  /** Kinds that were asked for on this stream. */
  readonly opened: Set<ResourceKind>;
  /** Whether the controller has said anything. */
  answered: boolean;
}

/** What became of a response. */
interface Verdict {
  /** Errors only. */
  readonly findings: readonly Finding[];
  /** Why, by name. */
  readonly refused: ReadonlyMap<string, string> | 'all';
}

/** Findings whose text goes to the controller. */
const maxReported = 20;
const deltaMethod = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
/** The code INVALID_ARGUMENT of gRPC, for what is refused. */
const invalidArgument = 3;

/**
 * A proxy's configuration stream: delta ADS over mutual TLS. Reconnects with jittered backoff and tells the controller
 * what it already has, so that only differences travel. While the controller is away nothing is forgotten.
 */
export class DiscoveryClient {
  readonly #options: DiscoveryClientOptions;
  readonly #interests = new Map(resourceKinds.map((kind) => [kind, new Interest(kind)]));
  #stream: Stream | undefined;
  #retry: Timer | undefined;
  #failures = 0;
  #closed = false;

  constructor(options: DiscoveryClientOptions) {
    this.#options = options;
  }

  /** Connects, now and whenever the connection is lost. */
  start(): void {
    this.#connect();
  }

  /** What is wanted of a kind from now on, in place of what was; `*` is everything this proxy may see. */
  subscribe(kind: ResourceKind, names: Iterable<string>): void {
    const request = this.#interests.get(kind)!.change(new Set(names));
    if (!this.#stream) return;
    if (!this.#stream.opened.has(kind)) this.#open(this.#stream, kind);
    else if (request) send(this.#stream, request);
  }

  /** Whether a stream is open and the controller has answered on it. */
  get connected(): boolean {
    return this.#stream?.answered ?? false;
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#end();
  }

  #connect(): void {
    try {
      this.#openStream();
    } catch (error) {
      this.#onLost(error instanceof Error ? error.message : String(error));
    }
  }

  #onLost(reason: string): void {
    const { address, node, logger } = this.#options;
    if (this.#closed) return;
    this.#end();
    this.#failures++;
    const delay = retryDelay(this.#failures, this.#options.random);
    logger.warn({ node: node.id, address, reason, retryInMs: Math.round(delay) }, 'there is no discovery stream');
    this.#retry = this.#options.clock.schedule(delay, () => this.#connect());
  }

  #openStream(): void {
    const svid = this.#options.credentials();
    if (!svid) throw new Error('there is no valid certificate to present');
    const channel = openControllerChannel({
      address: this.#options.address,
      trustDomain: svid.id.trustDomain,
      bundlePem: svid.bundlePem,
      svid,
    });
    const call = channel.open(deltaMethod, [], {
      onMessage: (message) => this.#onMessage(stream, message),
      onEnd: (error) => this.#onEnd(stream, error),
    });
    const stream: Stream = { channel, call, opened: new Set(), answered: false };
    this.#stream = stream;
    for (const kind of kindsInOrder) this.#open(stream, kind);
  }

  /** Asks for a kind on a stream for the first time. */
  #open(stream: Stream, kind: ResourceKind): void {
    const request = this.#interests.get(kind)!.opening();
    if (!request) return;
    const node = stream.opened.size === 0 ? { ...this.#options.node, userAgentName: 'meshwright' } : undefined;
    stream.opened.add(kind);
    send(stream, { ...request, node });
  }

  #onMessage(stream: Stream, message: Buffer): void {
    if (this.#stream !== stream) return;
    let response: DeltaResponse;
    try {
      response = decodeDeltaResponse(message);
    } catch (error) {
      this.#onLost(String(error));
      return;
    }
    if (!stream.answered) {
      stream.answered = true;
      this.#failures = 0;
      this.#options.logger.info(
        { node: this.#options.node.id, address: this.#options.address },
        'discovery is connected',
      );
    }
    this.#answer(stream, response);
  }

  #onEnd(stream: Stream, error: GrpcError | undefined): void {
    if (this.#stream === stream) this.#onLost(error?.message ?? 'the controller ended the stream');
  }

  #answer(stream: Stream, response: DeltaResponse): void {
    const kind = kindOfTypeUrl(response.typeUrl);
    if (!kind) return;
    const { findings, refused } = this.#apply(kind, response);
    if (refused !== 'all') this.#interests.get(kind)!.accept(response, refused);
    const answer = { typeUrl: response.typeUrl, responseNonce: response.nonce };
    if (findings.length === 0) {
      send(stream, answer);
      return;
    }
    const message = findings.slice(0, maxReported).map(formatFinding).join('\n');
    const details = refused === 'all' ? [] : encodeRefused(kind, refused);
    send(stream, { ...answer, errorDetail: { code: invalidArgument, message, details } });
  }

  #apply(kind: ResourceKind, response: DeltaResponse): Verdict {
    const interest = this.#interests.get(kind)!;
    const updates: Resource[] = [];
    const findings: Finding[] = [];
    for (const { name, payload } of response.resources) {
      if (!interest.wants(name)) continue;
      try {
        updates.push(decodeResource(kind, name, payload));
      } catch (error) {
        findings.push(unreadable(kind, name, error));
      }
    }
    const removed = response.removedResources.filter((name) => interest.wants(name));
    try {
      const found = this.#options.onUpdate({ kind, updates, removed });
      findings.push(...found.filter(({ severity }) => severity === 'error'));
    } catch (error) {
      return { findings: [...findings, inapplicable(kind, error)], refused: 'all' };
    }
    const names = new Map(response.resources.map(({ name }) => [`${kind} ${name}`, name]));
    const refused = new Map<string, string>();
    for (const found of findings) {
      const name = names.get(found.object ?? '');
      if (name === undefined) return { findings, refused: 'all' };
      refused.set(name, formatFinding(found));
    }
    return { findings, refused };
  }

  #end(): void {
    this.#stream?.call.cancel();
    this.#stream?.channel.close();
    this.#stream = undefined;
  }
}

function send({ call }: Stream, request: DeltaRequest): void {
  call.send(encodeDeltaRequest(request));
}

function unreadable(kind: ResourceKind, name: string, error: unknown): Finding {
  return finding('MW1701', {
    object: `${kind} ${name}`,
    message: `${kind} ${name} from the controller cannot be read: ${error instanceof Error ? error.message : error}`,
    hint: 'run controller and sidecars of versions that fit each other',
  });
}

function inapplicable(kind: ResourceKind, error: unknown): Finding {
  return finding('MW1702', {
    message: `an update of ${kind} cannot be applied: ${error instanceof Error ? error.message : error}`,
    hint: 'this is a fault of the sidecar: please report it; it goes on with what it had',
  });
}
