import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

/** The network of the pods, known nowhere outside of the test. */
const prefix4 = '10.203.0';
const prefix6 = 'fd77::';
const proxyUid = 1337;

const root = resolve(import.meta.dirname, '../../..');

export interface Program {
  readonly process: ChildProcess;
  /** What it has written to standard output and standard error. */
  readonly output: () => string;
}

/** A network namespace, as a pod has one. */
export class NetworkPod {
  readonly address: string;
  readonly address6: string;
  readonly #namespace: string;
  readonly #programs: Program[] = [];

  constructor(namespace: string, number: number) {
    this.#namespace = namespace;
    this.address = `${prefix4}.${number}`;
    this.address6 = `${prefix6}${number.toString(16)}`;
  }

  /** Runs a command as root and waits for it. */
  run(command: string, ...args: string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.#namespace, command, ...args], { encoding: 'utf8', cwd: root });
  }

  /** Starts a Node program of the repository, as the proxy's user where that is asked for. */
  start(
    script: string,
    args: readonly string[],
    options: { asProxy?: boolean; env?: NodeJS.ProcessEnv } = {},
  ): Program {
    // What the files of a checkout allow is no matter of this test.
    const rights = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override', '--clear-groups'];
    const asProxy = [`--reuid=${proxyUid}`, `--regid=${proxyUid}`, ...rights];
    // Nothing outlives the test, even where it is killed.
    const command = ['setpriv', '--pdeathsig=KILL', ...(options.asProxy ? asProxy : []), process.execPath];
    const child = spawn('ip', ['netns', 'exec', this.#namespace, ...command, resolve(root, script), ...args], {
      cwd: root,
      env: { ...process.env, ...options.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const chunks: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('latin1').on('data', (chunk: string) => chunks.push(chunk));
    }
    const program = { process: child, output: () => chunks.join('') };
    this.#programs.push(program);
    return program;
  }

  /** Runs a Node program to its end, and parses the JSON that it prints. */
  async ask<T>(script: string, args: readonly string[], asProxy = false): Promise<T> {
    const program = this.start(script, args, { asProxy });
    await once(program.process, 'close');
    try {
      return JSON.parse(program.output()) as T;
    } catch {
      throw new Error(`${script} ${args.join(' ')}: ${program.output()}`);
    }
  }

  async stop(): Promise<void> {
    for (const { process: child } of this.#programs.splice(0).reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
}

/** Namespaces on a bridge that has no way out. */
export class PodNetwork {
  /** Where the bridge is, and what is no pod: the node. */
  readonly node: NetworkPod;
  readonly #name = `mw${process.pid}`;
  readonly #namespaces: string[] = [];
  readonly #pods: NetworkPod[] = [];

  constructor() {
    removeLeftovers();
    this.node = this.#add('node', 1);
    const bridge = [
      ['link', 'add', 'br0', 'type', 'bridge'],
      ['address', 'add', `${this.node.address}/24`, 'dev', 'br0'],
      ['-6', 'address', 'add', `${this.node.address6}/64`, 'dev', 'br0', 'nodad'],
      ['link', 'set', 'br0', 'up'],
    ];
    for (const line of bridge) this.node.run('ip', ...line);
  }

  /** Adds a pod; `number` ends its addresses: one of each family, unless it is to have none of IPv4. */
  add(name: string, number: number, { ipv4 = true } = {}): NetworkPod {
    const pod = this.#add(name, number);
    const port = `to-${name}`;
    this.node.run('ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', `${this.#name}-${name}`);
    this.node.run('ip', 'link', 'set', port, 'master', 'br0', 'up');
    const lines = [
      ...(ipv4 ? [['address', 'add', `${pod.address}/24`, 'dev', 'eth0']] : []),
      ['-6', 'address', 'add', `${pod.address6}/64`, 'dev', 'eth0', 'nodad'],
      ['link', 'set', 'eth0', 'up'],
      ...(ipv4 ? [['route', 'add', 'default', 'via', this.node.address]] : []),
      ['-6', 'route', 'add', 'default', 'via', this.node.address6],
    ];
    for (const line of lines) pod.run('ip', ...line);
    return pod;
  }

  /** Ends what runs in the pods, and the pods. */
  async remove(): Promise<void> {
    for (const pod of this.#pods.reverse()) await pod.stop();
    for (const namespace of this.#namespaces) execFileSync('ip', ['netns', 'delete', namespace]);
  }

  #add(name: string, number: number): NetworkPod {
    const namespace = `${this.#name}-${name}`;
    execFileSync('ip', ['netns', 'add', namespace]);
    this.#namespaces.push(namespace);
    const pod = new NetworkPod(namespace, number);
    this.#pods.push(pod);
    pod.run('ip', 'link', 'set', 'lo', 'up');
    return pod;
  }
}

/** Namespaces of tests that were killed. */
function removeLeftovers(): void {
  for (const [name, pid] of execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).matchAll(/^mw(\d+)-\w+/gm)) {
    if (!existsSync(`/proc/${pid}`)) execFileSync('ip', ['netns', 'delete', name]);
  }
}
