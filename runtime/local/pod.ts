import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { issueWorkloadToken } from '../identity/authority.ts';
import type { Clock, Timer } from '../model/index.ts';
import type { Bootstrap } from '../proxy/bootstrap.ts';
import type { Guardian } from './guardian.ts';
import { LogFile } from './log-file.ts';
import { ManagedProcess } from './managed-process.ts';
import { writeIfChanged } from './manifests.ts';
import type { PodPlan } from './plan.ts';
import { bootstrapOf, commandOf, environmentOf, podManifest, readinessOf } from './pod-documents.ts';
import { allPorts, type PodPorts, takePorts } from './pod-ports.ts';
import type { PortAllocator } from './ports.ts';
import { isReady, type ReadinessCheck } from './readiness.ts';
import type { StateDirectory } from './state-directory.ts';

/** What pods have in common: the machine they run on. */
export interface Host {
  readonly clock: Clock;
  readonly guardian: Guardian;
  readonly allocator: PortAllocator;
  readonly state: StateDirectory;
  readonly controller: Bootstrap['controller'];
  readonly tokenKeyPem: string;
  /** Where commands run. */
  readonly workingDirectory: string;
  /** For the first listener of the gateway named here. */
  readonly gatewayPort?: { readonly workload: string; readonly port: number };
  readonly onReadiness: (pod: Pod) => void;
  readonly onCrash: (process: string, reason: string, delay: number) => void;
  readonly onSlow: (pod: Pod, output: readonly string[]) => void;
}

const cli = fileURLToPath(new URL('../cli/main.ts', import.meta.url));
const tokenLifetime = 3_600_000;
const pollUntilReady = 150;
const pollWhenReady = 1000;
/** A pod that takes longer is worth a word. */
const patience = 20_000;
/** How long peers have to hear that an endpoint is gone. */
const drainDelay = 500;
/** What Kubernetes grants by default is long for somebody who waits at a terminal. */
const shutdownGrace = 5_000;

interface Part {
  readonly process: ManagedProcess;
  readonly log: LogFile;
  readonly check: ReadinessCheck | undefined;
}

/** One replica of a workload: its application and the sidecar beside it, as processes. */
export class Pod {
  readonly name: string;
  readonly plan: PodPlan;
  readonly ports: PodPorts;
  readonly #host: Host;
  readonly #apps: readonly Part[];
  readonly #sidecar: Part | undefined;
  #ready = false;
  #stopping = false;
  /** Since when it has not been ready. */
  #waitingSince: number;
  /** Whether it was told that this is long. */
  #slow = false;
  #poll: Timer | undefined;
  #renewal: Timer | undefined;

  /** Starts its processes. They are not ready by then. */
  static async start(plan: PodPlan, name: string, host: Host): Promise<Pod> {
    const gatewayPort = host.gatewayPort?.workload === plan.workload ? host.gatewayPort.port : undefined;
    const pod = new Pod(plan, name, await takePorts(plan, host.allocator, gatewayPort), host);
    await pod.#begin();
    return pod;
  }

  private constructor(plan: PodPlan, name: string, ports: PodPorts, host: Host) {
    this.plan = plan;
    this.name = name;
    this.ports = ports;
    this.#host = host;
    this.#waitingSince = host.clock.now();
    this.#apps = plan.gateway
      ? []
      : plan.template.spec.containers.map((container) => {
          const env = environmentOf(plan, container, ports, process.env);
          const title = plan.template.spec.containers.length > 1 ? `${name}.${container.name}` : name;
          return this.#part(title, commandOf(container, env), env, readinessOf(plan, container, ports));
        });
    const bootstrap = join(this.#folder, 'bootstrap.json');
    this.#sidecar = plan.inMesh
      ? this.#part(`${name}.sidecar`, [process.execPath, cli, 'sidecar', '--config', bootstrap], process.env, {
          port: ports.admin,
          path: '/ready',
        })
      : undefined;
  }

  /** Whether it takes requests. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Address of the gateway's first listener, where it is a gateway. */
  get gateway(): string | undefined {
    const [first] = this.ports.gateway;
    return first && `http://127.0.0.1:${first.listen}`;
  }

  /** Takes it out of the endpoints, lets it finish what it has begun, ends it. */
  async drain(): Promise<void> {
    this.#leave();
    const { clock } = this.#host;
    if (this.#ready) await new Promise<void>((resolve) => clock.schedule(drainDelay, resolve));
    const grace = (this.plan.template.spec.terminationGracePeriodSeconds ?? 30) * 1000;
    // The application first: what it is finishing may need to call others, through its sidecar.
    await Promise.all(this.#apps.map(({ process }) => process.stop(grace)));
    await this.#sidecar?.process.stop(grace);
    this.#cleanUp();
  }

  /** Ends it together with everything around it. */
  async stop(): Promise<void> {
    this.#leave();
    await Promise.all(this.#parts.map(({ process }) => process.stop(shutdownGrace)));
    this.#cleanUp();
  }

  get #parts(): readonly Part[] {
    return this.#sidecar ? [...this.#apps, this.#sidecar] : this.#apps;
  }

  get #folder(): string {
    return this.#host.state.pod(`${this.name}.${this.plan.namespace}`);
  }

  get #manifest(): string {
    return join(this.#host.state.runtime, `${this.name}.${this.plan.namespace}.yaml`);
  }

  #part(title: string, command: string[], env: NodeJS.ProcessEnv, check: ReadinessCheck | undefined): Part {
    const { clock, guardian, state, workingDirectory: cwd } = this.#host;
    const log = new LogFile(join(state.logs, `${title}.log`));
    const onCrash = (reason: string, delay: number) => {
      this.#setReady(false);
      this.#schedulePoll();
      this.#host.onCrash(title, reason, delay);
    };
    return {
      log,
      check,
      process: new ManagedProcess({ name: title, command, env, cwd }, { clock, guardian, log, onCrash }),
    };
  }

  async #begin(): Promise<void> {
    if (this.plan.inMesh) {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      const bootstrap = bootstrapOf(this.plan, this.name, this.ports, this.#host.controller, this.#folder);
      writeFileSync(join(this.#folder, 'bootstrap.json'), `${JSON.stringify(bootstrap, undefined, 2)}\n`);
      await this.#renewToken();
    }
    this.#publish();
    for (const { process } of this.#parts) process.start();
    this.#schedulePoll();
  }

  async #renewToken(): Promise<void> {
    const { clock, tokenKeyPem } = this.#host;
    const { namespace, serviceAccount } = this.plan;
    const token = await issueWorkloadToken(
      { namespace, serviceAccount, pod: this.name },
      { privateKeyPem: tokenKeyPem, ttl: tokenLifetime, clock },
    );
    if (this.#stopping) return;
    writeFileSync(join(this.#folder, 'token'), token, { mode: 0o600 });
    this.#renewal = clock.schedule(tokenLifetime / 2, () => void this.#renewToken());
  }

  #schedulePoll(): void {
    if (this.#stopping) return;
    this.#poll?.cancel();
    const delay = this.#ready ? pollWhenReady : pollUntilReady;
    this.#poll = this.#host.clock.schedule(delay, () => void this.#check());
  }

  async #check(): Promise<void> {
    const pids = this.#pids;
    const answers = await Promise.all(this.#parts.map(({ check }) => check === undefined || isReady(check)));
    if (this.#stopping) return;
    // An answer of a process that has ended meanwhile says nothing.
    this.#setReady(answers.every(Boolean) && !pids.includes(undefined) && String(pids) === String(this.#pids));
    const waited = this.#host.clock.now() - this.#waitingSince;
    if (!this.#ready && !this.#slow && waited > patience) {
      this.#slow = true;
      const waitingFor = this.#parts.filter((_, index) => !answers[index]);
      this.#host.onSlow(
        this,
        waitingFor.flatMap(({ log }) => log.tail(10)),
      );
    }
    this.#schedulePoll();
  }

  get #pids(): (number | undefined)[] {
    return this.#parts.map(({ process }) => process.pid);
  }

  #setReady(ready: boolean): void {
    if (this.#ready === ready || this.#stopping) return;
    this.#ready = ready;
    this.#waitingSince = this.#host.clock.now();
    this.#slow = false;
    this.#publish();
    this.#host.onReadiness(this);
  }

  #publish(): void {
    writeIfChanged(this.#manifest, podManifest(this.plan, this.name, this.ports, this.#ready));
  }

  #leave(): void {
    this.#stopping = true;
    this.#poll?.cancel();
    this.#renewal?.cancel();
    writeIfChanged(this.#manifest, podManifest(this.plan, this.name, this.ports, false));
  }

  #cleanUp(): void {
    rmSync(this.#manifest, { force: true });
    rmSync(this.#folder, { recursive: true, force: true });
    for (const { log } of this.#parts) log.close();
    this.#host.allocator.release(allPorts(this.ports));
  }
}
