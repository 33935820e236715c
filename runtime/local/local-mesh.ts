import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, type Finding, FindingsError, finding, type Random, systemClock } from '../model/index.ts';
import { translate } from '../translate/index.ts';
import { type App, locateApp } from './app.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { askController } from './controller-client.ts';
import { Guardian } from './guardian.ts';
import { publishManifests, readManifests } from './manifests.ts';
import { type Plan, planPods } from './plan.ts';
import { isFree, PortAllocator } from './ports.ts';
import { Replicas } from './replicas.ts';
import { SourceWatch } from './source-watch.ts';
import { StateDirectory } from './state-directory.ts';
import { type Synthesis, Synthesizer } from './synthesizer.ts';

/** What happens in a mesh on this machine, for whoever looks on. */
export type LocalEvent =
  /** The app printed something while it was being synthesised. */
  | { readonly kind: 'output'; readonly text: string }
  /** The app was synthesised; with errors among the findings, the last good version stays. */
  | { readonly kind: 'synthesised'; readonly findings: readonly Finding[]; readonly duration: number }
  | { readonly kind: 'readiness'; readonly pod: string; readonly ready: boolean }
  | { readonly kind: 'crash'; readonly process: string; readonly reason: string; readonly delay: number }
  /** A pod has not got ready for long. */
  | { readonly kind: 'slow'; readonly finding: Finding };

export interface LocalMeshOptions {
  /** Folder with a main.ts, or a file. */
  readonly app: string;
  /**
   * Port of 127.0.0.1 for the first gateway.
   * @default - a free one
   */
  readonly port?: number;
  readonly onEvent: (event: LocalEvent) => void;
  /** @default - the machine's clock */
  readonly clock?: Clock;
  /** @default - Math.random */
  readonly random?: Random;
  /** Gives up, and stops what has been started. */
  readonly signal?: AbortSignal;
}

export interface LocalMesh {
  /** Where requests enter; absent where the mesh has no gateway. */
  readonly gateway: string | undefined;
  /** The controller's API. */
  readonly admin: string;
  /** Folder of the logs. */
  readonly logs: string;
  /** Ends every process, gently first. */
  stop(): Promise<void>;
}

const poll = 100;

/**
 * Runs the mesh that an app describes as processes on this machine, and follows edits of the app.
 *
 * @returns when every replica is ready and every sidecar has the newest configuration
 */
export async function startLocalMesh(options: LocalMeshOptions): Promise<LocalMesh> {
  const app = locateApp(options.app);
  if (options.port !== undefined && !(await isFree(options.port))) throw portInUse(options.port);
  const state = new StateDirectory(app);
  state.claim();
  const runner = new Runner(app, state, options);
  try {
    await runner.start();
    return runner;
  } catch (error) {
    await runner.stop();
    throw error;
  }
}

class Runner implements LocalMesh {
  readonly #app: App;
  readonly #state: StateDirectory;
  readonly #options: LocalMeshOptions;
  readonly #clock: Clock;
  readonly #guardian = new Guardian();
  readonly #synthesizer: Synthesizer;
  readonly #watch: SourceWatch;
  #controlPlane: ControlPlane | undefined;
  #replicas: Replicas | undefined;
  #following: Promise<void> | undefined;
  #changedMeanwhile = false;
  #stopping: Promise<void> | undefined;

  constructor(app: App, state: StateDirectory, options: LocalMeshOptions) {
    this.#app = app;
    this.#state = state;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#synthesizer = new Synthesizer(app, {
      clock: this.#clock,
      onOutput: (text) => options.onEvent({ kind: 'output', text }),
      onStart: (pid) => this.#guardian.watch(pid),
      onExit: (pid) => this.#guardian.forget(pid),
    });
    this.#watch = new SourceWatch(this.#clock, () => this.#follow());
  }

  get gateway(): string | undefined {
    return this.#replicas?.pods.find(({ gateway }) => gateway)?.gateway;
  }

  get admin(): string {
    return this.#controlPlane!.api;
  }

  get logs(): string {
    return this.#state.logs;
  }

  async start(): Promise<void> {
    const { onEvent, random = Math.random, signal } = this.#options;
    const { plan, ...synthesised } = await this.#synthesise();
    signal?.throwIfAborted();
    if (!plan) throw new FindingsError(synthesised.findings);
    onEvent({ kind: 'synthesised', ...synthesised });
    const allocator = new PortAllocator(random);
    const machine = {
      clock: this.#clock,
      guardian: this.#guardian,
      allocator,
      state: this.#state,
      workingDirectory: this.#app.packageRoot,
      onCrash: (process: string, reason: string, delay: number) => onEvent({ kind: 'crash', process, reason, delay }),
    };
    this.#controlPlane = await startControlPlane(machine);
    signal?.throwIfAborted();
    const { address, bundlePem, tokenKeyPem } = this.#controlPlane;
    const gateway = plan.pods.find((pod) => pod.gateway);
    this.#replicas = new Replicas({
      ...machine,
      controller: { address, bundle: bundlePem },
      tokenKeyPem,
      ...(gateway && this.#options.port !== undefined
        ? { gatewayPort: { workload: gateway.workload, port: this.#options.port } }
        : {}),
      onReadiness: ({ name, ready }) => onEvent({ kind: 'readiness', pod: name, ready }),
      onSlow: (pod, output) => onEvent({ kind: 'slow', finding: notReady(pod.name, output, this.#state.logs) }),
    });
    await this.#replicas.apply(plan.pods);
    this.#state.announce({ gateway: this.gateway, admin: this.admin });
    while (!(await this.#settled(plan))) {
      signal?.throwIfAborted();
      await new Promise<void>((resolve) => this.#clock.schedule(poll, resolve));
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#end();
    return this.#stopping;
  }

  async #end(): Promise<void> {
    this.#watch.close();
    this.#synthesizer.close();
    await this.#following;
    await Promise.all([this.#replicas?.stop(), this.#controlPlane?.stop()]);
    await this.#guardian.close();
    this.#state.withdraw();
  }

  /** Synthesises anew after an edit; edits that come meanwhile are taken up afterwards. */
  #follow(): void {
    if (this.#stopping) return;
    if (this.#following) {
      this.#changedMeanwhile = true;
      return;
    }
    this.#following = this.#takeUpEdits().finally(() => {
      this.#following = undefined;
    });
  }

  async #takeUpEdits(): Promise<void> {
    do {
      this.#changedMeanwhile = false;
      const { plan, ...synthesised } = await this.#synthesise();
      if (this.#stopping) return;
      this.#options.onEvent({ kind: 'synthesised', ...synthesised });
      if (plan) await this.#replicas?.apply(plan.pods);
    } while (this.#changedMeanwhile && !this.#stopping);
  }

  /** Publishes what the app describes now; no plan where that has errors. */
  async #synthesise(): Promise<{ findings: readonly Finding[]; duration: number; plan?: Plan }> {
    const begin = this.#clock.now();
    const outdir = join(this.#state.root, 'synth');
    rmSync(outdir, { recursive: true, force: true });
    mkdirSync(outdir, { recursive: true });
    const synthesis = await this.#synthesizer.run(outdir);
    const { findings, plan } = this.#stopping ? { findings: [] } : planOf(synthesis, outdir, this.#app);
    if (!this.#stopping) this.#watch.add(synthesis.sources);
    if (plan) publishManifests(outdir, this.#state.manifests);
    return { findings, plan, duration: this.#clock.now() - begin };
  }

  /** Whether everything is ready, and everybody knows. */
  async #settled(plan: Plan): Promise<boolean> {
    if (!this.#replicas?.complete) return false;
    const [proxies, services] = await Promise.all([
      askController(this.admin, 'proxies'),
      askController(this.admin, 'services'),
    ]);
    const upToDate = new Set(proxies.filter((proxy) => proxy.upToDate).map(({ id }) => id));
    const meshed = this.#replicas.pods.filter((pod) => pod.plan.inMesh);
    return (
      meshed.every((pod) => upToDate.has(`${pod.name}.${pod.plan.namespace}`)) &&
      services.every(({ name, endpoints }) => endpoints >= expectedEndpoints(plan, name))
    );
  }
}

/** Reads what was synthesised. Where it has errors that keep it from running here, there is no plan. */
function planOf(synthesis: Synthesis, outdir: string, app: App): { findings: readonly Finding[]; plan?: Plan } {
  if (synthesis.findings.length > 0) return { findings: synthesis.findings };
  const manifests = readManifests([outdir]);
  const translation = translate(manifests.objects);
  const plan = planPods(manifests.objects, translation.resources);
  const blocking = [
    ...manifests.findings,
    ...plan.findings,
    ...(plan.pods.length + plan.findings.length > 0 ? [] : [nothingToRun(app)]),
  ];
  const findings = [...blocking, ...translation.findings];
  return blocking.some(({ severity }) => severity === 'error') ? { findings } : { findings, plan };
}

function expectedEndpoints(plan: Plan, service: string): number {
  return plan.pods
    .filter((pod) => pod.selectedBy.some(({ name }) => `${pod.namespace}/${name}` === service))
    .reduce((sum, { replicas }) => sum + replicas, 0);
}

function portInUse(port: number): FindingsError {
  return new FindingsError([
    finding('MW1511', {
      message: `port ${port} of 127.0.0.1 is in use`,
      hint: 'stop what listens there, or choose another one with --port',
    }),
  ]);
}

function notReady(pod: string, output: readonly string[], logs: string): Finding {
  const said =
    output.length > 0 ? `it said last:\n${output.map((line) => `    ${line}`).join('\n')}` : 'it says nothing';
  return finding('MW1513', {
    message: `${pod} does not get ready; ${said}`,
    hint: `it must accept connections on 127.0.0.1:$PORT; see ${join(logs, `${pod}.log`)}`,
  });
}

function nothingToRun(app: App): Finding {
  return finding('MW1518', {
    message: `${app.entry} wrote no Deployment`,
    hint: 'give services a workload, and let the app write its manifests to $CDK8S_OUTDIR (app.synth() does)',
  });
}
