import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import {
  ExtendedKeyUsageExtension,
  type Extension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

export type Answer = (asked: Asked, response: ServerResponse) => void;

/** An HTTPS server on loopback whose answers the test gives, with a directory that holds a pod's way to reach it. */
export class HttpsServer implements AsyncDisposable {
  readonly asked: Asked[] = [];
  readonly directory = new TemporaryDirectory();
  readonly sockets = new Set<Socket>();
  /** How many connections were ever made. */
  connections = 0;
  readonly #server: Server;
  readonly ca: string;

  private constructor(server: Server, ca: string) {
    this.#server = server;
    this.ca = ca;
    server.on('connection', (socket: Socket) => {
      this.connections++;
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
  }

  static async start(answer: Answer): Promise<HttpsServer> {
    const { cert, key } = await selfSigned();
    const server = createServer({ cert, key });
    const result = new HttpsServer(server, cert);
    server.on('request', async (request, response) => {
      const url = new URL(request.url!, 'https://x');
      const body = await text(request);
      const asked: Asked = {
        method: request.method!,
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        headers: request.headers,
        body: body ? JSON.parse(body) : undefined,
      };
      result.asked.push(asked);
      answer(asked, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    writeFileSync(join(result.directory.path, 'ca.crt'), cert);
    result.setToken('first');
    return result;
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  setToken(token: string): void {
    writeFileSync(join(this.directory.path, 'token'), `${token}\n`);
  }

  /** From now on nobody answers. */
  stop(): void {
    this.#server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    this.directory[Symbol.dispose]();
  }
}

/** Answers with JSON. */
export function json(response: ServerResponse, value: unknown, status = 200, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

/** What a server of the core group says of its kinds. */
export const coreKinds = {
  resources: [
    { name: 'pods', kind: 'Pod', namespaced: true },
    { name: 'pods/status', kind: 'Pod', namespaced: true },
    { name: 'namespaces', kind: 'Namespace', namespaced: false },
  ],
};

async function selfSigned(): Promise<{ cert: string; key: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const extensions: Extension[] = [
    new SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }]),
    new ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1']),
  ];
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=api',
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    keys,
    signingAlgorithm: algorithm,
    extensions,
  });
  const key = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { cert: certificate.toString('pem'), key: PemConverter.encode(key, 'PRIVATE KEY') };
}
