import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Resource } from '../../runtime/model/index.ts';
import type { Bootstrap } from '../../runtime/proxy/index.ts';
import { eventually } from '../support/eventually.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { closeLater, createAuthority, freePort, send, svidOf } from './mesh.ts';
import { endpointsOf, service } from './resources.ts';

const program = fileURLToPath(new URL('../../runtime/cli/main.ts', import.meta.url));

export interface ProcessOptions {
  /** Of the command. */
  readonly args?: readonly string[];
  /** Of Node. */
  readonly nodeFlags?: readonly string[];
}

/** The sidecar of a caller of one plain service, as a process of its own that lives from what it finds on its disk. */
export class SidecarProcess {
  readonly port: number;
  readonly admin: number;
  readonly child: ChildProcess;
  /** What it logged. */
  log = '';

  private constructor(port: number, admin: number, child: ChildProcess) {
    this.port = port;
    this.admin = admin;
    this.child = child;
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.log += text;
      });
    }
  }

  /** Resolves when it is ready. */
  static async start(appPort: number, { args = [], nodeFlags = [] }: ProcessOptions = {}): Promise<SidecarProcess> {
    const directory = new TemporaryDirectory();
    closeLater(() => directory[Symbol.dispose]());
    const [port, admin, controller] = [await freePort(), await freePort(), await freePort()];
    const authority = await createAuthority();
    const bootstrap: Bootstrap = {
      id: 'web-0.shop',
      namespace: 'shop',
      serviceAccount: 'web',
      workload: 'shop/web',
      trustDomain: 'test.local',
      controller: { address: `127.0.0.1:${controller}`, bundle: authority.bundlePem },
      tokenFile: await directory.write('token', 'no controller asks for it'),
      inbound: [],
      outbound: { services: [{ listen: `127.0.0.1:${port}`, service: 'shop/reviews', port: 9080 }] },
      gateway: [],
      admin: `127.0.0.1:${admin}`,
      stateDir: directory.path,
    };
    const resources: Resource[] = [
      {
        kind: 'workload',
        name: 'shop/web',
        namespace: 'shop',
        serviceAccount: 'web',
        trustDomain: 'test.local',
        mtls: 'strict',
        ports: [],
        access: [],
        calls: ['shop/reviews'],
      },
      service('reviews', 9080, 'http'),
      endpointsOf('reviews', 9080, [{ port: appPort }]),
    ];
    await directory.write('resources.json', JSON.stringify(resources));
    await directory.write('svid.json', JSON.stringify(await svidOf(authority, 'web')));
    const child = spawn(process.execPath, [...nodeFlags, program, 'sidecar', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, MESHWRIGHT_BOOTSTRAP: JSON.stringify(bootstrap) },
    });
    const started = new SidecarProcess(port, admin, child);
    closeLater(() => started.kill());
    await eventually(() => started.isReady(), 30_000);
    return started;
  }

  async isReady(): Promise<boolean> {
    if (this.child.exitCode !== null) throw new Error(`the sidecar ended:\n${this.log}`);
    return send(this.admin, { path: '/ready' }).then(
      ({ status }) => status === 200,
      () => false,
    );
  }

  /** The sum of all series of a metric. */
  async metric(name: string): Promise<number> {
    const text = (await send(this.admin, { path: '/metrics' })).body.toString();
    return [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'))].reduce(
      (sum, [, value]) => sum + Number(value),
      0,
    );
  }

  /** The processes it has started. */
  workers(): number[] {
    const { pid } = this.child;
    const ids = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return ids === '' ? [] : ids.split(' ').map(Number);
  }

  /** Resolves with its exit code. */
  async ended(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    return this.child.exitCode;
  }

  /** Its workers end when they see it gone. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended();
  }
}
