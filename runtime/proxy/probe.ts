import { connect as connectTls } from 'node:tls';
import { headerValue } from '../engine/index.ts';
import { type Clock, formatHostPort, type Timer } from '../model/index.ts';
import {
  type ClientConnection,
  type Connection,
  connect,
  createHttp1Client,
  createHttp2Client,
  type HeaderList,
  type HttpLimits,
  type RequestHead,
  type ResetReason,
  type ResponseHead,
  type ResponseReceiver,
  socketConnection,
} from '../net/index.ts';
import type { Probe } from './bootstrap.ts';
import { checkHealth } from './grpc-health.ts';

/** What came of a probe, as it is told to the kubelet: the application's own status where there is one. */
export interface ProbeResult {
  readonly status: number;
  readonly words: string;
}

export interface ProbeOptions {
  /** Where the application listens. */
  readonly host: string;
  readonly clock: Clock;
  readonly limits: HttpLimits;
}

/** As much of a response's body as the kubelet reads. */
const maxBody = 10_240;
const maxRedirects = 10;
const healthy: ProbeResult = { status: 200, words: 'healthy' };
const unhealthy = (words: string): ProbeResult => ({ status: 503, words });

/** A response as far as a probe reads it. */
interface ProbeResponse {
  readonly status: number;
  readonly headers: HeaderList;
  readonly trailers: HeaderList;
  readonly body: Buffer;
}

/**
 * One check of the application's health, as the kubelet makes it: redirects to the same host are followed, certificates
 * are not verified, 200 to 399 is healthy, and so is a connection where nothing else is asked for. Ends after the
 * probe's own time at the latest.
 */
export class RunningProbe {
  readonly #target: Probe;
  readonly #options: ProbeOptions;
  readonly #finished: (result: ProbeResult) => void;
  readonly #timer: Timer;
  #connection: Connection | undefined;
  #done = false;

  /** `caller` holds the kubelet's own header fields; `finished` is called once, unless the probe is cancelled. */
  constructor(target: Probe, caller: HeaderList, options: ProbeOptions, finished: (result: ProbeResult) => void) {
    this.#target = target;
    this.#options = options;
    this.#finished = finished;
    this.#timer = options.clock.schedule(target.timeoutMs, () =>
      this.#finish(unhealthy(`no answer from port ${target.port} within ${target.timeoutMs} ms`)),
    );
    this.#run(caller).then(
      (result) => this.#finish(result),
      (error: Error) => this.#finish(unhealthy(error.message)),
    );
  }

  cancel(): void {
    this.#done = true;
    this.#timer.cancel();
    this.#connection?.destroy();
  }

  #finish(result: ProbeResult): void {
    if (this.#done) return;
    this.cancel();
    this.#finished(result);
  }

  async #run(caller: HeaderList): Promise<ProbeResult> {
    const { kind, port, service = '' } = this.#target;
    const host = this.#target.host ?? this.#options.host;
    if (kind === 'http') return this.#http(host, caller);
    const connection = await this.#connect(host, port, false);
    if (kind === 'tcp') return healthy;
    const client = createHttp2Client(connection, nobody, this.#options);
    const problem = await checkHealth(formatHostPort({ host, port }), service, (head, body) =>
      exchange(client, head, body),
    );
    return problem === undefined ? healthy : unhealthy(problem);
  }

  async #http(host: string, caller: HeaderList): Promise<ProbeResult> {
    const { port, path = '/', scheme = 'HTTP', headers = [] } = this.#target;
    const own = headers.flatMap(([name, value]) => [name.toLowerCase(), value]);
    let url = new URL(
      `${scheme.toLowerCase()}://${formatHostPort({ host, port })}${path.startsWith('/') ? path : `/${path}`}`,
    );
    const { hostname } = url;
    for (let hops = 0; hops <= maxRedirects; hops++) {
      const encrypted = url.protocol === 'https:';
      const connection = await this.#connect(host, Number(url.port || (encrypted ? 443 : 80)), encrypted);
      const client = createHttp1Client(connection, nobody, this.#options);
      const response = await exchange(client, headOf(url, own, caller));
      connection.destroy();
      const next = redirectOf(response, url);
      if (!next || next.hostname !== hostname) return resultOf(response);
      url = next;
    }
    return unhealthy(`more than ${maxRedirects} redirects`);
  }

  async #connect(host: string, port: number, encrypted: boolean): Promise<Connection> {
    const { clock } = this.#options;
    return new Promise((resolve, reject) => {
      const take = (connection: Connection): void => {
        if (this.#done) connection.destroy();
        this.#connection = connection;
      };
      if (encrypted) {
        // Nobody tells the kubelet, either, whom to expect.
        const socket = connectTls({ host, port, rejectUnauthorized: false });
        const connection = socketConnection(socket);
        take(connection);
        socket.once('error', reject).once('secureConnect', () => resolve(connection));
        return;
      }
      connect({ host, port, clock, timeout: this.#target.timeoutMs }, (error, connection) => {
        if (!connection) return reject(error);
        take(connection);
        resolve(connection);
      });
    });
  }
}

/** Who owns a connection that carries one request. */
const nobody = { onCapacity() {}, onRetire() {} };

function headOf(url: URL, own: HeaderList, caller: HeaderList): RequestHead {
  const headers: HeaderList = [];
  let authority = url.host;
  for (let i = 0; i < own.length; i += 2) {
    if (own[i] === 'host') authority = own[i + 1];
    else headers.push(own[i], own[i + 1]);
  }
  for (const name of ['user-agent', 'accept']) {
    const value = headerValue(caller, name);
    if (value !== undefined && headerValue(headers, name) === undefined) headers.push(name, value);
  }
  return { method: 'GET', scheme: 'http', authority, path: `${url.pathname}${url.search}`, headers };
}

function redirectOf({ status, headers }: ProbeResponse, url: URL): URL | undefined {
  const location = status >= 300 && status < 400 ? headerValue(headers, 'location') : undefined;
  const next = location === undefined ? null : URL.parse(location, url.href);
  return next && /^https?:$/.test(next.protocol) ? next : undefined;
}

function resultOf({ status, body }: ProbeResponse): ProbeResult {
  return status >= 200 && status < 400 ? healthy : { status, words: body.toString('utf8') };
}

/** One request with its response; what is too much of its body is left. Rejects where there is no response. */
function exchange(client: ClientConnection, head: RequestHead, body?: Buffer): Promise<ProbeResponse> {
  return new Promise((resolve, reject) => {
    const stream = client.request(head, body === undefined, new Reader(resolve, reject));
    if (!body) return;
    stream.write(body);
    stream.end();
  });
}

class Reader implements ResponseReceiver {
  readonly #resolve: (response: ProbeResponse) => void;
  readonly #reject: (error: Error) => void;
  readonly #chunks: Buffer[] = [];
  #head: ResponseHead | undefined;
  #bytes = 0;

  constructor(resolve: (response: ProbeResponse) => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onInformational(): void {}

  onDrain(): void {}

  onResponse(head: ResponseHead, end: boolean): void {
    this.#head = head;
    if (end) this.onEnd(undefined);
  }

  onData(chunk: Buffer): void {
    if (this.#bytes >= maxBody) return;
    this.#chunks.push(Buffer.from(chunk.subarray(0, maxBody - this.#bytes)));
    this.#bytes += chunk.length;
    if (this.#bytes >= maxBody) this.onEnd(undefined);
  }

  onEnd(trailers: HeaderList | undefined): void {
    const { status, headers } = this.#head!;
    this.#resolve({ status, headers, trailers: trailers ?? [], body: Buffer.concat(this.#chunks) });
  }

  onReset(reason: ResetReason): void {
    this.#reject(new Error(`the application broke off its answer (${reason})`));
  }
}
