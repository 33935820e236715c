import { fork } from 'node:child_process';
import { type Logger, pino } from 'pino';
import { bootstrapVariable } from '../model/index.ts';
import {
  type Bootstrap,
  parseBootstrap,
  parseBootstrapText,
  readBootstrap,
  runSidecar,
  runWorker,
} from '../proxy/index.ts';
import { CommandError, exitCode, usageError } from './exit-code.ts';
import { report } from './report.ts';

export interface ServeOptions {
  readonly config?: string;
  readonly concurrency?: number;
  readonly worker?: boolean;
}

/** Runs the command line of a process of a pod and returns its exit code. */
export async function run(args: readonly string[]): Promise<number> {
  try {
    await serve({ worker: args.includes('--worker') });
    return exitCode.ok;
  } catch (error) {
    return report(error);
  }
}

/** Is the proxy of one workload, or one process of it, until it is told to end. */
export async function serve({ config, concurrency, worker }: ServeOptions): Promise<void> {
  const logger = pino();
  const end = untilTold(logger);
  if (worker) {
    const running = runWorker(process);
    running.listening.then(giveBack);
    await Promise.race([end.told, running.over]);
    await running.close();
    // The channel to the first process would keep this one alive.
    if (process.connected) process.disconnect();
    end.check();
    return;
  }
  const bootstrap = await bootstrapOf(config, concurrency);
  const sidecar = await runSidecar(bootstrap, { logger, onQuit: end.tell, startWorker });
  let served = false;
  const ready = sidecar.ready.then(() => {
    served = true;
    giveBack();
  });
  // A port that cannot be had ends the process; who started it tries again.
  await Promise.race([end.told, ready.then(() => end.told)]);
  await sidecar.close();
  end.check();
  // Kubernetes shows the last words of what has failed.
  if (!served) throw new CommandError('the sidecar was ended before it took traffic');
}

/**
 * Starting leaves a quarter of the memory behind: code that runs once, configuration as text, a young generation that
 * grew for both. V8 would keep it for ever where little is allocated. Needs `--expose-gc`, which the image sets.
 */
function giveBack(): void {
  globalThis.gc?.({ type: 'major', flavor: 'last-resort' });
}

interface End {
  /** Resolves when the process is to end. */
  readonly told: Promise<void>;
  readonly tell: () => void;
  /** Throws where a fault was the reason. */
  readonly check: () => void;
}

/**
 * Told by a signal, or by a fault of ours that nothing contained. After such a fault the state of the process is not
 * known: it lets what is under way finish, and ends with code 1, to be started anew.
 */
function untilTold(logger: Logger): End {
  const { promise: told, resolve: tell } = Promise.withResolvers<void>();
  let faults = 0;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => tell());
  process.on('uncaughtException', (error) => {
    faults++;
    logger.fatal({ error: error.stack ?? String(error) }, 'a fault of this program: it drains and ends');
    tell();
  });
  const check = () => {
    if (faults > 0) throw new CommandError('ended for a fault of this program, which it logged');
  };
  return { told, tell, check };
}

/** This program again, with the same flags of Node. */
function startWorker() {
  return fork(process.argv[1], ['sidecar', '--worker']);
}

async function bootstrapOf(file: string | undefined, concurrency: number | undefined): Promise<Bootstrap> {
  const bootstrap = await readBootstrapOf(file);
  return concurrency === undefined ? bootstrap : parseBootstrap({ ...bootstrap, concurrency }, '--concurrency');
}

async function readBootstrapOf(file: string | undefined): Promise<Bootstrap> {
  if (file !== undefined) return readBootstrap(file);
  const text = process.env[bootstrapVariable];
  if (!text) throw usageError(`there is no bootstrap document: give --config or set ${bootstrapVariable}`);
  return parseBootstrapText(text, bootstrapVariable);
}
