import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Finding } from '../../model/index.ts';
import type { ObjectStatus } from '../../translate/index.ts';
import type { PolicyStats } from '../telemetry/policy-stats.ts';
import type { EdgeStats, ServiceStats } from '../telemetry/traffic.ts';
import type { ProxyView, ServiceView } from './views.ts';

/** What the API tells; each is asked for anew at every request. */
export interface ApiSources {
  readonly proxies: () => readonly ProxyView[];
  readonly services: () => readonly ServiceView[];
  readonly stats: () => readonly ServiceStats[];
  readonly edges: () => readonly EdgeStats[];
  readonly policies: () => PolicyStats;
  readonly findings: () => readonly Finding[];
  readonly statuses: () => readonly ObjectStatus[];
}

/** Reading the whole request takes no longer than this. */
const requestTimeout = 5_000;

/** The controller's API: JSON for reading, nothing to change. Not listening yet. */
export function createApiServer(sources: ApiSources, isReady: () => boolean): Server {
  const routes = new Map<string, () => unknown>([
    ['/ready', () => ({ ready: isReady() })],
    ...Object.entries(sources).map(([name, source]): [string, () => unknown] => [`/api/v1/${name}`, source]),
  ]);
  const server = createServer({ requestTimeout, headersTimeout: requestTimeout }, (request, response) => {
    request.resume();
    const [path] = (request.url ?? '').split('?');
    const route = routes.get(path);
    // A page of another origin must not read this through a name that resolves to loopback (DNS rebinding).
    if (!isLocalHost(request.headers.host)) return answer(response, 403, { error: 'only for this machine' });
    if (!route) return answer(response, 404, { error: `no such path; there are ${[...routes.keys()].join(', ')}` });
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, { error: 'use GET' });
    return answer(response, path === '/ready' && !isReady() ? 503 : 200, route());
  });
  return server;
}

function isLocalHost(host: string | undefined): boolean {
  return host !== undefined && /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(host);
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${JSON.stringify(body)}\n`);
}
