import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a handler answers: JSON unless it says otherwise. */
export interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The header's first value. */
  header(name: string): string | undefined;
  text(): Promise<string>;
}

/** Where to listen: for all who reach the pod, or on one machine, where `meshwright up` says so by `HOST`, on loopback. */
export function address(containerPort: number): { readonly port: number; readonly host?: string } {
  const { PORT, HOST } = process.env;
  return { port: Number(PORT ?? containerPort), host: HOST };
}

/** Serves HTTP, answers /healthz, and on SIGTERM finishes what it has begun. */
export function serve(
  name: string,
  containerPort: number,
  handle: (request: Request) => Promise<Answer> | Answer,
): void {
  const server = createServer(async (incoming, response) => {
    let answer: Answer;
    try {
      answer = incoming.url === '/healthz' ? { body: 'ok' } : await handle(readable(incoming));
    } catch (error) {
      console.error(`${name}: ${incoming.method} ${incoming.url}:`, error);
      answer = { status: statusOf(error), body: { error: String(error) } };
    }
    const html = typeof answer.body === 'string';
    const body = html ? String(answer.body) : answer.body === undefined ? '' : JSON.stringify(answer.body);
    response.writeHead(answer.status ?? 200, {
      'content-type': html ? 'text/html; charset=utf-8' : 'application/json',
      'content-length': Buffer.byteLength(body),
      ...answer.headers,
    });
    response.end(body);
  });
  server.listen(address(containerPort), () => {
    console.log(`${name} listens on port ${(server.address() as AddressInfo).port}`);
  });
  process.once('SIGTERM', () => server.close(() => process.exit(0)));
}

/** A service that we called did not answer as it should. */
export class UpstreamError extends Error {}

/** What ties the calls of one visit together and steers them through the mesh. */
const forwarded = ['x-request-id', 'traceparent', 'x-canary', 'x-user'];

/** Calls another service by its name in the mesh, on behalf of `request`. */
export async function call<Result>(request: Request, url: string, init: RequestInit = {}): Promise<Result> {
  const headers = new Headers(init.headers);
  for (const name of forwarded) {
    const value = request.header(name);
    if (value !== undefined) headers.set(name, value);
  }
  const response = await fetch(url, { ...init, headers });
  if (!response.ok) throw new UpstreamError(`${init.method ?? 'GET'} ${url} answered ${response.status}`);
  return (await response.json()) as Result;
}

/** A body that is not JSON is the caller's mistake; a silent or failing upstream is not ours. */
function statusOf(error: unknown): number {
  if (error instanceof SyntaxError) return 400;
  return error instanceof UpstreamError ? 502 : 500;
}

function readable(incoming: IncomingMessage): Request {
  const header = (name: string) => {
    const value = incoming.headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  const text = async () => {
    let body = '';
    for await (const chunk of incoming.setEncoding('utf8')) body += chunk;
    return body;
  };
  const path = new URL(incoming.url ?? '/', 'http://local').pathname;
  return { method: incoming.method ?? 'GET', path, headers: incoming.headers, header, text };
}
