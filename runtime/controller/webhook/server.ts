import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Logger } from '../../identity/index.ts';
import { type InjectionSettings, injectionPaths } from '../../injection/index.ts';
import { injectEnabled, labels } from '../../resources/index.ts';
import { admissionReview, answerReview } from './admission-review.ts';
import type { Notice } from './events.ts';
import { reviewPod } from './review-pod.ts';
import type { ServingCertificate } from './serving-certificate.ts';

export interface WebhookOptions {
  /** What proxies are given, asked for each pod. */
  readonly settings: () => InjectionSettings;
  readonly recordEvent: (notice: Notice) => void;
  /** Why the controller is not ready; `undefined` when it is. */
  readonly notReady: () => string | undefined;
  readonly logger: Logger;
}

export interface Webhook {
  /** Not listening yet. */
  readonly server: Server;
  /** Takes up a certificate, for connections from now on. Before the first there are none. */
  setCertificate(certificate: ServingCertificate): void;
}

/** The API server's objects are smaller than this, its reviews hold one each. */
const maxBody = 4 * 2 ** 20;
/** Bytes of bodies that are being read, all together. */
const maxBodies = 64 * 2 ** 20;
const maxConnections = 500;
/** Milliseconds; the API server waits no longer for an answer. */
const patience = 5_000;

/**
 * The controller's HTTPS server: injection for the API server, and `GET /ready` and `/live` for kubelets. It asks nobody
 * who they are; what it answers is no secret, and it changes nothing but writing events.
 */
export function createWebhook(options: WebhookOptions): Webhook {
  const handle = new Handler(options);
  const server = createServer(
    {
      minVersion: 'TLSv1.3',
      handshakeTimeout: patience,
      requestTimeout: patience,
      headersTimeout: patience,
      // Longer than the API server keeps a connection, so that it is the one to close.
      keepAliveTimeout: 120_000,
      maxHeaderSize: 16_384,
    },
    (request, response) => void handle.request(request, response),
  );
  server.maxConnections = maxConnections;
  return {
    server,
    setCertificate: ({ chainPem, key }) => server.setSecureContext({ cert: chainPem, key, minVersion: 'TLSv1.3' }),
  };
}

class Handler {
  readonly #options: WebhookOptions;
  #held = 0;

  constructor(options: WebhookOptions) {
    this.#options = options;
  }

  async request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // An aborted request ends here; nobody waits for its answer.
    request.on('error', () => {});
    response.on('error', () => {});
    try {
      await this.#answer(request, response);
    } catch (error) {
      const status = error instanceof RequestError ? error.status : 500;
      if (status === 500) this.#options.logger.warn({ error: describe(error) }, 'a request to the webhook failed');
      // What was not read of the body would be taken for the next request.
      response.setHeader('connection', 'close');
      send(response, status, { error: status === 500 ? 'it failed; see the log of the controller' : describe(error) });
      request.resume();
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').split('?', 1)[0];
    if (request.method === 'GET' && path === '/live') return send(response, 200, { live: true });
    if (request.method === 'GET' && path === '/ready') {
      const reason = this.#options.notReady();
      return send(response, reason === undefined ? 200 : 503, { ready: reason === undefined, reason });
    }
    const byNamespace = path === injectionPaths.namespace;
    if (!byNamespace && path !== injectionPaths.pod) {
      const known = ['GET /ready', 'GET /live', ...Object.values(injectionPaths).map((each) => `POST ${each}`)];
      throw new RequestError(404, `there is no ${path}, only ${known.join(', ')}`);
    }
    if (request.method !== 'POST') throw new RequestError(405, 'use POST');
    send(response, 200, this.#review(await this.#read(request), byNamespace));
  }

  #review(body: string, byNamespace: boolean): unknown {
    const { settings, recordEvent, logger } = this.#options;
    const parsed = admissionReview.safeParse(parseJson(body));
    if (!parsed.success) throw new RequestError(400, `not an AdmissionReview of v1: ${parsed.error.issues[0].message}`);
    const { request } = parsed.data;
    // The API server has just compared the namespace's labels: what a watch here knows of them may be older.
    const namespaceLabels: Record<string, string> = byNamespace ? { [labels.inject]: injectEnabled } : {};
    const { verdict, outcome, notice } = reviewPod(request, { settings: settings(), namespaceLabels });
    const { namespace, dryRun = false } = request;
    const details = { namespace, pod: nameOf(request.object), allowed: verdict.allowed, outcome, dryRun };
    if (notice) logger.warn(details, 'a pod gets no proxy');
    else logger.info(details, 'a pod was looked at');
    if (notice && !dryRun) recordEvent(notice);
    return answerReview(request, verdict);
  }

  /** Reads the body, within the bounds of one and of all. */
  async #read(request: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      // Who sends too much is still told so.
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        length += chunk.length;
        this.#held += chunk.length;
        if (length > maxBody) throw new RequestError(413, `more than ${maxBody} bytes`);
        if (this.#held > maxBodies) throw new RequestError(503, 'too much at once; try again');
        chunks.push(chunk);
      }
    } finally {
      this.#held -= length;
    }
    return Buffer.concat(chunks).toString('utf8');
  }
}

class RequestError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RequestError(400, 'the body is not JSON');
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${JSON.stringify(body)}\n`);
}

function nameOf(pod: unknown): string {
  const { name, generateName } = (pod as { metadata?: { name?: unknown; generateName?: unknown } })?.metadata ?? {};
  return String(name ?? generateName ?? '').slice(0, 253);
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
