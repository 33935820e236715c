import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { binaries } from './paths.ts';

const startLimit = 60_000;

export interface Reply<T = Record<string, unknown>> {
  readonly status: number;
  readonly body: T;
}

/** etcd and kube-apiserver, on loopback and in a directory that goes with them: Kubernetes without nodes. */
export class ApiServer implements AsyncDisposable {
  static async start(): Promise<ApiServer> {
    const server = new ApiServer(mkdtempSync(join(tmpdir(), 'meshwright-api-')));
    try {
      await server.#start();
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  readonly #directory: string;
  readonly #children: ChildProcess[] = [];
  readonly #token = 'meshwright-test';
  #port = 0;
  #serve: () => ChildProcess = () => {
    throw new Error('it was not started');
  };
  #server: ChildProcess | undefined;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  request<T>(method: string, path: string, body?: unknown, contentType = 'application/json'): Promise<Reply<T>> {
    return new Promise((answered, reject) => {
      const headers = { authorization: `Bearer ${this.#token}`, 'content-type': contentType };
      const options = { host: '127.0.0.1', port: this.#port, method, path, headers, rejectUnauthorized: false };
      const sent = request(options, (response) => {
        text(response).then((answer) => {
          const json = answer.startsWith('{') ? JSON.parse(answer) : { message: answer };
          answered({ status: response.statusCode!, body: json });
        }, reject);
      });
      sent.on('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    }
    rmSync(this.#directory, { recursive: true });
  }

  async #start(): Promise<void> {
    const file = (name: string) => join(this.#directory, name);
    const binary = join(binaries, 'hyperkube');
    const { privateKey, publicKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    writeFileSync(file('sa.key'), privateKey);
    writeFileSync(file('sa.pub'), publicKey);
    writeFileSync(file('tokens.csv'), `${this.#token},test,test,"system:masters"\n`);
    const [client, peer, secure] = await Promise.all([freePort(), freePort(), freePort()]);
    const [clients, peers] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
    this.#port = secure;
    this.#run(binary, 'etcd', [
      `--data-dir=${file('etcd')}`,
      `--listen-client-url=${clients}`,
      `--listen-peer-url=${peers}`,
      '--unsafe-no-fsync',
    ]);
    const args = [
      `--etcd-servers=${clients}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${secure}`,
      `--cert-dir=${file('certificates')}`,
      `--token-auth-file=${file('tokens.csv')}`,
      '--authorization-mode=RBAC',
      '--endpoint-reconciler-type=none',
      '--service-cluster-ip-range=10.96.0.0/16',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${file('sa.pub')}`,
      `--service-account-signing-key-file=${file('sa.key')}`,
    ];
    this.#serve = () => this.#run(binary, 'kube-apiserver', args);
    await this.resume();
  }

  /** Kills the API server, but not what it stores in. */
  async halt(): Promise<void> {
    const closed = once(this.#server!, 'close');
    this.#server!.kill('SIGKILL');
    await closed;
  }

  /** Starts the API server again, at the same address. */
  async resume(): Promise<void> {
    this.#server = this.#serve();
    await this.until('/readyz', ({ status }) => status === 200);
  }

  /** Writes a kubeconfig for whom a token speaks for, and gives its path. @default - the token of an administrator */
  kubeconfig(token = this.#token): string {
    const path = join(this.#directory, `${randomUUID()}.kubeconfig`);
    const cluster = { server: `https://127.0.0.1:${this.#port}`, 'insecure-skip-tls-verify': true };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster }],
      users: [{ name: 'test', user: { token } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      'current-context': 'test',
    };
    writeFileSync(path, JSON.stringify(config));
    return path;
  }

  /** Asks until the answer is right, within the time a server takes to start. */
  async until(path: string, isRight: (reply: Reply) => boolean): Promise<void> {
    const deadline = Date.now() + startLimit;
    for (;;) {
      const reply = await this.request<Record<string, unknown>>('GET', path).catch(() => undefined);
      if (reply && isRight(reply)) return;
      if (Date.now() > deadline) throw new Error(`${path} is not as it should be: ${JSON.stringify(reply?.body)}`);
      await setTimeout(50);
    }
  }

  #run(binary: string, name: string, args: readonly string[]): ChildProcess {
    if (!existsSync(binary)) throw new Error(`${binary} is not there`);
    const child = spawn(binary, [name, ...args], { stdio: 'ignore' });
    this.#children.push(child);
    return child;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
