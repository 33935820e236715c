import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Resource } from '../../runtime/model/index.ts';
import { type Bootstrap, parseHostPort } from '../../runtime/proxy/index.ts';
import type { AccessLogEntry } from '../../runtime/telemetry/index.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const cli = join(repository, 'runtime/cli/main.ts');

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface RequestOptions {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** Every process of this machine, by the one tool that Linux and macOS share. */
async function processes(): Promise<readonly ProcessRow[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-ww', '-o', 'pid=,ppid=,args='], {
    maxBuffer: 16 * 1024 * 1024,
  });
  return stdout.split('\n').flatMap((line) => {
    const match = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line);
    return match ? [{ pid: Number(match[1]), parent: Number(match[2]), command: match[3] }] : [];
  });
}

/** `meshwright up` on a copy of an example, in a folder of its own, as a user would run it. */
export class RunningExample {
  readonly #name: string;
  readonly root: string;
  readonly main: string;
  gateway = '';
  admin = '';
  #process!: ChildProcess;
  #progress = '';
  #agent = new Agent({ keepAlive: true, maxSockets: 16 });

  private constructor(name: string) {
    this.#name = name;
    const folder = join('examples', name);
    this.root = mkdtempSync(join(tmpdir(), `meshwright-${name}-`));
    this.main = join(this.root, folder, 'main.ts');
    cpSync(join(repository, folder), join(this.root, folder), { recursive: true });
    writeFileSync(join(this.root, 'package.json'), '{ "name": "my-mesh", "type": "module", "private": true }\n');
    mkdirSync(join(this.root, 'node_modules'));
    symlinkSync(repository, join(this.root, 'node_modules/meshwright'));
  }

  /** Resolves when `up` says that everything is ready; `name` is that of its folder, and of its namespace. */
  static async start(name: string): Promise<RunningExample> {
    const example = new RunningExample(name);
    example.#process = spawn(process.execPath, [cli, 'up', join(example.root, 'examples', name), '-o', 'json'], {
      cwd: example.root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    example.#process.stderr?.on('data', (chunk) => {
      example.#progress += chunk;
    });
    const exited = new Promise<never>((_, reject) => {
      example.#process.once('exit', (code) => reject(new Error(`up ended with ${code}:\n${example.#progress}`)));
    });
    exited.catch(() => {});
    const line = new Promise<string>((resolve) => {
      createInterface({ input: example.#process.stdout! }).once('line', resolve);
    });
    const ready = JSON.parse(await Promise.race([line, exited]));
    if (ready.ready !== true) throw new Error(`not ready: ${JSON.stringify(ready)}`);
    example.gateway = ready.gateway;
    example.admin = ready.admin;
    return example;
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** What `up` told on standard error. */
  get progress(): string {
    return this.#progress;
  }

  /** Ends as Ctrl-C does and removes the folder. Returns what is still running afterwards. */
  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<readonly ProcessRow[]> {
    this.#agent.destroy();
    const family = await this.family();
    const exited = new Promise<void>((resolve) => {
      if (this.#process.exitCode !== null || this.#process.signalCode !== null) resolve();
      else this.#process.once('exit', () => resolve());
    });
    this.#process.kill(signal);
    await exited;
    const gone = await this.#survivors(family);
    rmSync(this.root, { recursive: true, force: true });
    return gone;
  }

  /** All processes that `up` started, and theirs. */
  async family(): Promise<readonly ProcessRow[]> {
    const all = await processes();
    const family = new Map<number, ProcessRow>();
    const roots = new Set([this.pid]);
    for (let size = -1; size !== family.size; ) {
      size = family.size;
      for (const row of all) {
        if (!roots.has(row.parent) || family.has(row.pid) || row.command.includes('ps -A')) continue;
        family.set(row.pid, row);
        roots.add(row.pid);
      }
    }
    return [...family.values()];
  }

  /** The process whose command line holds `text`. */
  async pidOf(text: string): Promise<number> {
    const found = (await this.family()).find(({ command }) => command.includes(text));
    if (!found) throw new Error(`no process with "${text}"`);
    return found.pid;
  }

  /** A request from outside, through the gateway. */
  fetch(options: RequestOptions = {}): Promise<Answer> {
    const { hostname, port } = new URL(this.gateway);
    return this.#send(hostname, Number(port), options);
  }

  /** A request as the application of a pod sends it: through its sidecar, by name. */
  call(pod: string, authority: string, options: RequestOptions = {}): Promise<Answer> {
    const { path = '/', headers = {}, ...rest } = options;
    const { host, port } = parseHostPort(this.#bootstrap(pod).outbound.proxy ?? '');
    return this.#send(host, port, {
      ...rest,
      path: `http://${authority}${path}`,
      headers: { host: authority, ...headers },
    });
  }

  /** A stream of bytes as the application of a pod opens it: through its sidecar, by CONNECT. */
  tunnel(pod: string, authority: string): Promise<Socket> {
    const { host, port } = parseHostPort(this.#bootstrap(pod).outbound.proxy ?? '');
    return new Promise((resolve, reject) => {
      const request = httpRequest({ host, port, method: 'CONNECT', path: authority });
      request.on('connect', ({ statusCode }, socket, head) => {
        // A server that speaks first may have done so already.
        socket.unshift(head);
        if (statusCode === 200) resolve(socket as Socket);
        else reject(new Error(`CONNECT was answered ${statusCode}`));
      });
      request.on('error', reject).end();
    });
  }

  #bootstrap(pod: string): Bootstrap {
    return JSON.parse(readFileSync(join(this.#state, 'pods', `${pod}.${this.#name}`, 'bootstrap.json'), 'utf8'));
  }

  /** What the sidecar of a pod logged last about a request that it sent on, or was to. */
  logged(pod: string, requestId: string): AccessLogEntry | undefined {
    return this.#entries(`${pod}.sidecar.log`, requestId).findLast(({ direction }) => direction !== 'inbound');
  }

  /** What the sidecar that a request came to logged about it, behind a service or version: `shop/catalog`. */
  arrived(service: string, requestId: string): AccessLogEntry | undefined {
    const name = service.slice(service.indexOf('/') + 1);
    const replica = new RegExp(`^${name}-\\d+\\.sidecar\\.log$`);
    return readdirSync(this.#logs)
      .filter((file) => replica.test(file))
      .flatMap((file) => this.#entries(file, requestId))
      .find(({ direction }) => direction === 'inbound');
  }

  get #state(): string {
    return join(this.root, '.meshwright', this.#name);
  }

  get #logs(): string {
    return join(this.#state, 'logs');
  }

  #entries(file: string, requestId: string): AccessLogEntry[] {
    return readFileSync(join(this.#logs, file), 'utf8')
      .split('\n')
      .filter((text) => text.endsWith('}') && text.includes(`"request_id":"${requestId}"`))
      .map((text) => JSON.parse(text));
  }

  /** The configuration that its sidecars and its gateway hold, all of them together, as it would be in pods. */
  async resources(): Promise<readonly Resource[]> {
    const pods = readdirSync(join(this.#state, 'pods')).map((pod) => pod.slice(0, pod.lastIndexOf('.')));
    const bootstraps = pods.map((pod) => this.#bootstrap(pod));
    const dumps = await Promise.all(
      bootstraps.map(async ({ admin }) => {
        const answer = await fetch(`http://${admin}/config`);
        return (await answer.json()) as { readonly resources: readonly Resource[] };
      }),
    );
    const inbound = bootstraps.flatMap((bootstrap) => bootstrap.inbound);
    const ofPod = new Map(inbound.map(({ port, listen }) => [parseHostPort(listen).port, port]));
    return dumps.flatMap(({ resources }) => resources).map((resource) => withPortsOfPods(resource, ofPod));
  }

  /** Runs another command of the CLI beside it. */
  async cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    return new Promise((resolve) => {
      execFile(process.execPath, [cli, ...args], { cwd: this.root }, (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : error ? 1 : 0, stdout, stderr });
      });
    });
  }

  edit(change: (source: string) => string): void {
    const before = readFileSync(this.main, 'utf8');
    const after = change(before);
    if (after === before) throw new Error('the edit changes nothing');
    writeFileSync(this.main, after);
  }

  #send(host: string, port: number, options: RequestOptions): Promise<Answer> {
    const { method = 'GET', path = '/', headers = {}, body } = options;
    return new Promise((resolve, reject) => {
      const request = httpRequest({ host, port, method, path, headers, agent: this.#agent }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  async #survivors(family: readonly ProcessRow[]): Promise<readonly ProcessRow[]> {
    const deadline = performance.now() + 10_000;
    for (;;) {
      const alive = new Set((await processes()).map(({ pid, command }) => `${pid} ${command}`));
      const left = family.filter(({ pid, command }) => alive.has(`${pid} ${command}`));
      if (left.length === 0 || performance.now() > deadline) return left;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** On one machine, endpoints have ports that no other has; those of pods are the same for all of a workload. */
function withPortsOfPods(resource: Resource, ofPod: ReadonlyMap<number, number>): Resource {
  if (resource.kind !== 'endpoints') return resource;
  const endpoints = resource.endpoints.map((endpoint) => {
    const ports = Object.entries(endpoint.ports).map(([name, port]) => [name, ofPod.get(port) ?? port]);
    return { ...endpoint, ports: Object.fromEntries(ports) };
  });
  return { ...resource, endpoints };
}
