import type { Clock } from '../model/index.ts';
import {
  type Accept,
  createHttp1Server,
  type HeaderList,
  type HttpLimits,
  type Listener,
  listenPlain,
  type RequestHead,
  type RequestReceiver,
  type ServerConnection,
  type ServerHandler,
  type ServerStream,
} from '../net/index.ts';
import { listenInBothFamilies } from './families.ts';
import type { ProbeResult, RunningProbe } from './probe.ts';
import { ignoreBody } from './reply.ts';

/** What the admin port tells and does. */
export interface AdminActions {
  /** Why the proxy is not ready; `undefined` when it is. */
  notReady(): string | undefined;
  metrics(): string | Promise<string>;
  /** The configuration in force, secrets left out. */
  config(): unknown;
  /** Drains and ends the process. */
  quit(): void;
  /** Makes a probe of the application; `caller` holds who asks' own header fields. `undefined` where there is none of that name. */
  probe(name: string, caller: HeaderList, finished: (result: ProbeResult) => void): RunningProbe | undefined;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const text = (status: number, body: string): Answer => ({
  status,
  type: 'text/plain; charset=utf-8',
  body: `${body}\n`,
});

/** Paths that everybody may ask for: probes come from the node, scrapes from wherever metrics are collected. */
const openPaths: ReadonlySet<string> = new Set(['GET /ready', 'GET /live', 'GET /metrics']);
const probePrefix = '/probe/';

function answer(action: string, actions: AdminActions): Answer | Promise<Answer> {
  switch (action) {
    case 'GET /live':
      return text(200, 'live');
    case 'GET /ready': {
      const reason = actions.notReady();
      return reason ? text(503, reason) : text(200, 'ready');
    }
    case 'GET /metrics':
      return exposition(actions.metrics());
    case 'GET /config':
      return { status: 200, type: 'application/json', body: `${JSON.stringify(actions.config(), undefined, 2)}\n` };
    case 'POST /quit':
      actions.quit();
      return text(200, 'draining');
    default:
      return text(404, 'GET /ready /live /metrics /config /probe/<name>, POST /quit');
  }
}

function exposition(metrics: string | Promise<string>): Answer | Promise<Answer> {
  if (typeof metrics !== 'string') return metrics.then(exposition);
  return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: metrics };
}

/** Sends an answer when it is there, unless who asked is gone by then. */
function sendLater(stream: ServerStream, coming: Promise<Answer>): RequestReceiver {
  let gone = false;
  const failed = (error: unknown): Answer => text(500, String(error));
  coming.catch(failed).then((answer) => {
    if (!gone) send(stream, answer);
  });
  return {
    ...ignoreBody,
    onReset() {
      gone = true;
    },
  };
}

/** A probe's answer comes later; who asked may be gone before. */
function probe(name: string, head: RequestHead, stream: ServerStream, actions: AdminActions): RequestReceiver {
  const finished = ({ status, words }: ProbeResult): void => send(stream, text(status, words));
  const running = actions.probe(name, head.headers, finished);
  if (!running) send(stream, text(404, `there is no probe ${name}`));
  return { ...ignoreBody, onReset: () => running?.cancel() };
}

/** The only names a host that is called by its address has. */
const ownNames = /^(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\])?(?::\d+)?$/;
const notForBrowsers = text(403, 'not for web pages');
const notForOthers = text(403, 'only for who is in the pod');
const loopback = /^(?:127\.\d+\.\d+\.\d+|::1)$/;

/**
 * A web page can have the browser of whoever looks at it send requests here: with its origin, or under a host name of
 * its own that it lets resolve to our address (DNS rebinding).
 */
function comesFromBrowser({ authority, headers }: RequestHead): boolean {
  return !ownNames.test(authority) || headers.some((name, index) => index % 2 === 0 && name === 'origin');
}

function send(stream: ServerStream, { status, type, body }: Answer): void {
  const bytes = Buffer.from(body);
  stream.respond({ status, headers: ['content-type', type, 'content-length', String(bytes.length)] }, false);
  stream.write(bytes);
  stream.end();
}

export interface AdminOptions {
  readonly clock: Clock;
  readonly limits: HttpLimits;
  /** The pod's own: who calls from there is as near as who calls from loopback. */
  readonly ownAddresses?: ReadonlySet<string>;
}

/**
 * Serves the admin port; see DESIGN, "Ports of a sidecar". Where it listens for the whole network, others than the
 * pod itself get nothing but health and metrics.
 */
export async function serveAdmin(
  address: string,
  actions: AdminActions,
  options: AdminOptions,
): Promise<Pick<Listener, 'address' | 'close'>> {
  const handlerFor = (isNear: boolean): ServerHandler => ({
    onRequest(head, stream) {
      const path = head.path.split('?', 1)[0];
      const action = `${head.method} ${path}`;
      if (comesFromBrowser(head)) send(stream, notForBrowsers);
      else if (action.startsWith(`GET ${probePrefix}`)) {
        return probe(path.slice(probePrefix.length), head, stream, actions);
      } else {
        const answered = isNear || openPaths.has(action) ? answer(action, actions) : notForOthers;
        if (answered instanceof Promise) return sendLater(stream, answered);
        send(stream, answered);
      }
      return ignoreBody;
    },
  });
  const [near, far] = [handlerFor(true), handlerFor(false)];
  const open = new Set<ServerConnection>();
  const listeners: Listener[] = [];
  const accept: Accept = (accepted) => {
    const { connection } = accepted;
    const caller = connection.remoteAddress.slice(0, connection.remoteAddress.lastIndexOf(':'));
    const handler = loopback.test(caller) || options.ownAddresses?.has(caller) ? near : far;
    const server = createHttp1Server(connection, handler, { ...options, scheme: 'http' });
    open.add(server);
    accepted.onceClosed(() => open.delete(server));
  };
  await listenInBothFamilies(address, async (each) => {
    listeners.push(await listenPlain({ ...each, maxConnections: 100, clock: options.clock }, accept));
  });
  return {
    address: listeners[0].address,
    close() {
      for (const listener of listeners) listener.close();
      for (const server of open) server.drain();
    },
  };
}
