import { request } from 'node:http';
import { json } from 'node:stream/consumers';
import { eventually, get } from '../kubectl.ts';

/*
 * What every pod of the test runs: servers, and a port at which the test tells it whom to call.
 */

/** Ports of the program, and the one that the test itself speaks to. */
export const ports = { http: 8080, greeting: 6379, echo: 7777, metrics: 9100, control: 8099 } as const;

/** Added to each port of who shares the network of its node. */
export const onHost = 10_000;

const program = `
import { createServer, get } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import { json, text } from 'node:stream/consumers';
const ports = ${JSON.stringify(ports)};
const shift = Number(process.env.SHIFT ?? 0);
const answer = (incoming, outgoing) => {
  const caller = incoming.headers['x-forwarded-client-cert'];
  outgoing.end(JSON.stringify({ pod: process.env.HOSTNAME, caller, host: incoming.headers.host, path: incoming.url }));
};
const talkative = (words) => createTcpServer((socket) => {
  socket.on('error', () => {});
  if (words) socket.write(words);
  socket.pipe(socket);
});
const http = ({ host, port, path, headers }) => new Promise((resolve) => {
  const sent = get({ host, port, path, headers, agent: false, timeout: 4000 }, async (response) => {
    resolve({ status: response.statusCode, headers: response.headers, body: await text(response) });
  });
  sent.on('timeout', () => sent.destroy(new Error('timeout')));
  sent.on('error', (error) => resolve({ status: 0, headers: {}, body: error.code ?? String(error) }));
});
const tcp = ({ host, port, words }) => new Promise((resolve) => {
  const started = performance.now();
  const socket = connect(port, host);
  let heard = '';
  const end = (ended) => { socket.destroy(); resolve({ heard, ended, milliseconds: performance.now() - started }); };
  socket.setTimeout(4000, () => end('silence'));
  if (words) socket.write(words);
  socket.on('data', (chunk) => { heard += chunk; if (heard.endsWith(words ?? '\\n')) end('satisfied'); });
  socket.on('error', (error) => end(error.code ?? String(error)));
  socket.on('close', () => end('closed'));
});
createServer(answer).listen(ports.http + shift);
createServer(answer).listen(ports.metrics + shift);
talkative('READY\\n').listen(ports.greeting + shift);
talkative('').listen(ports.echo + shift);
createServer(async (incoming, outgoing) => {
  const { kind, ...what } = await json(incoming);
  outgoing.end(JSON.stringify(await (kind === 'http' ? http(what) : tcp(what))));
}).listen(ports.control + shift);
`;

/** The container of a pod that serves and speaks. */
export function container(image: string, rest: object = {}): Readonly<Record<string, unknown>> {
  return { name: 'app', image, command: ['node', '--input-type=module', '-e', program], ...rest };
}

export interface Reply {
  /** 0 where there was no answer; `body` says why. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Talk {
  readonly heard: string;
  /** `satisfied` where all was heard that was to be. */
  readonly ended: string;
  readonly milliseconds: number;
}

/** What a server of the program saw of a call. */
export interface Seen {
  readonly pod: string;
  readonly caller?: string;
  readonly host: string;
  readonly path: string;
}

/** A pod that is told whom to call. */
export class Speaker {
  readonly address: string;
  readonly #control: number;

  private constructor(address: string, control: number) {
    this.address = address;
    this.#control = control;
  }

  /** Waits until a pod takes orders; `isReady` says whether it is to be ready, too. */
  static async of(namespace: string, name: string, { shift = 0, isReady = true } = {}): Promise<Speaker> {
    const address = await eventually(
      `pod ${namespace}/${name} speaks`,
      async () => {
        const { status } = await get<{ status: PodStatus }>('-n', namespace, 'pod', name);
        const ready = status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
        if (!status.podIP || (isReady && !ready)) return undefined;
        await new Speaker(status.podIP, ports.control + shift).http('127.0.0.1', ports.http + shift);
        return status.podIP;
      },
      120_000,
    );
    return new Speaker(address, ports.control + shift);
  }

  http(host: string, port: number, path = '/', headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    return this.#order({ kind: 'http', host, port, path, headers });
  }

  /** What the server saw; rejects where the answer is not its own. */
  async seen(host: string, port: number, path = '/'): Promise<Seen> {
    const { status, body } = await this.http(host, port, path);
    if (status !== 200) throw new Error(`${host}:${port} answered ${status}: ${body}`);
    return JSON.parse(body) as Seen;
  }

  /** Says `words` and hears until they come back; without words until the first line. */
  tcp(host: string, port: number, words?: string): Promise<Talk> {
    return this.#order({ kind: 'tcp', host, port, words });
  }

  #order<T>(order: object): Promise<T> {
    return new Promise((resolve, reject) => {
      const options = { host: this.address, port: this.#control, method: 'POST', agent: false, timeout: 10_000 };
      const sent = request(options, (response) => {
        json(response).then((value) => resolve(value as T), reject);
      });
      sent.on('timeout', () => sent.destroy(new Error('the pod takes no orders')));
      sent.on('error', reject);
      sent.end(JSON.stringify(order));
    });
  }
}

interface PodStatus {
  readonly podIP?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
}
