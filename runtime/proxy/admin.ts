import type { Clock } from '../model/index.ts';
import {
  createHttp1Server,
  type HttpLimits,
  type Listener,
  listenPlain,
  type RequestHead,
  type ServerConnection,
  type ServerHandler,
  type ServerStream,
} from '../net/index.ts';
import { parseHostPort } from './bootstrap.ts';

/** What the admin port tells and does. */
export interface AdminActions {
  /** Why the proxy is not ready; `undefined` when it is. */
  notReady(): string | undefined;
  metrics(): string;
  /** The configuration in force, secrets left out. */
  config(): unknown;
  /** Drains and ends the process. */
  quit(): void;
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

function answer(method: string, path: string, actions: AdminActions): Answer {
  switch (`${method} ${path}`) {
    case 'GET /live':
      return text(200, 'live');
    case 'GET /ready': {
      const reason = actions.notReady();
      return reason ? text(503, reason) : text(200, 'ready');
    }
    case 'GET /metrics':
      return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: actions.metrics() };
    case 'GET /config':
      return { status: 200, type: 'application/json', body: `${JSON.stringify(actions.config(), undefined, 2)}\n` };
    case 'POST /quit':
      actions.quit();
      return text(200, 'draining');
    default:
      return text(404, 'GET /ready /live /metrics /config, POST /quit');
  }
}

/** The only names a host that is called by its address has. */
const ownNames = /^(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\])?(?::\d+)?$/;
const notForBrowsers = text(403, 'not for web pages');

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

/** Serves the admin port; see DESIGN, "Ports of a sidecar". */
export async function serveAdmin(
  address: string,
  actions: AdminActions,
  options: { readonly clock: Clock; readonly limits: HttpLimits },
): Promise<Listener> {
  const ignoreBody = { onData() {}, onEnd() {}, onReset() {}, onDrain() {} };
  const handler: ServerHandler = {
    onRequest(head, stream) {
      send(stream, comesFromBrowser(head) ? notForBrowsers : answer(head.method, head.path.split('?', 1)[0], actions));
      return ignoreBody;
    },
  };
  const open = new Set<ServerConnection>();
  const listener = await listenPlain({ ...parseHostPort(address), maxConnections: 100 }, (accepted) => {
    const server = createHttp1Server(accepted.connection, handler, { ...options, scheme: 'http' });
    open.add(server);
    accepted.onceClosed(() => open.delete(server));
  });
  return {
    ...listener,
    close() {
      listener.close();
      for (const server of open) server.drain();
    },
  };
}
