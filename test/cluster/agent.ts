import { Agent as HttpAgent, type IncomingHttpHeaders, request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { AccessLogEntry } from '../../runtime/telemetry/index.ts';
import { apply, eventually, get, kubectl } from './kubectl.ts';

/** What the agent's container runs: it sends the requests it is told to, as an application of the mesh. */
const program = `
import { Agent, createServer, request } from 'node:http';
import { json, text } from 'node:stream/consumers';
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
createServer(async (incoming, answer) => {
  if (incoming.method === 'GET') return answer.end('ready');
  try {
    const { authority, method = 'GET', path = '/', headers = {}, body } = await json(incoming);
    const [host, port = '80'] = authority.split(':');
    const response = await new Promise((resolve, reject) => {
      const sent = request({ host, port, method, path, headers: { host: authority, ...headers }, agent }, resolve);
      sent.on('error', reject);
      sent.end(body);
    });
    const outcome = { status: response.statusCode, headers: response.headers, body: await text(response) };
    answer.end(JSON.stringify(outcome));
  } catch (error) {
    answer.end(JSON.stringify({ status: 0, headers: {}, body: String(error) }));
  }
}).listen(8099);
`;

export interface Answer {
  /** 0 where there was no answer; `body` says why. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A pod of the mesh that sends requests for a test, as a service account. */
export class Agent {
  /** `namespace/name` of its pod. */
  readonly namespace: string;
  readonly pod: string;
  readonly #address: string;
  readonly #connections = new HttpAgent({ keepAlive: true, maxSockets: 64 });

  private constructor(namespace: string, pod: string, address: string) {
    this.namespace = namespace;
    this.pod = pod;
    this.#address = address;
  }

  /** Starts one; with `inject` false it stays outside the mesh. */
  static async start(namespace: string, serviceAccount: string, image: string, inject = true): Promise<Agent> {
    const name = `agent-${serviceAccount}${inject ? '' : '-outside'}`;
    await apply(
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name,
          namespace,
          labels: { 'meshwright.dev/inject': inject ? 'enabled' : 'disabled' },
          annotations: { 'meshwright.dev/skip-inbound-ports': '8099' },
        },
        spec: {
          serviceAccountName: serviceAccount,
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: 'agent',
              image,
              command: ['node', '--input-type=module', '-e', program],
              readinessProbe: { httpGet: { port: 8099 }, periodSeconds: 1 },
            },
          ],
        },
      }),
    );
    const address = await eventually(`pod ${namespace}/${name} is ready`, async () => {
      const { status } = await get<{ status: PodStatus }>('-n', namespace, 'pod', name);
      const ready = status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
      return ready ? status.podIP : undefined;
    });
    return new Agent(namespace, name, address);
  }

  /** Has the pod send a request to `authority` (`host:port`). */
  send(authority: string, call: Call = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const options = { host: this.#address, port: 8099, method: 'POST', agent: this.#connections };
      const sent = request(options, (response) => {
        text(response).then((body) => resolve(JSON.parse(body)), reject);
      });
      sent.on('error', reject);
      sent.end(JSON.stringify({ authority, ...call }));
    });
  }

  /** What its sidecar logged about a request, by its `x-request-id`. */
  async logged(requestId: string): Promise<AccessLogEntry | undefined> {
    const log = await kubectl(['-n', this.namespace, 'logs', this.pod, '-c', 'meshwright-proxy', '--tail=2000']);
    const line = log.split('\n').findLast((entry) => entry.includes(`"request_id":"${requestId}"`));
    return line === undefined ? undefined : JSON.parse(line);
  }

  async stop(): Promise<void> {
    this.#connections.destroy();
    await kubectl(['-n', this.namespace, 'delete', 'pod', this.pod, '--wait=false']);
  }
}

interface PodStatus {
  readonly podIP?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
}
