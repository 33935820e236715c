import { Command, InvalidArgumentError, Option } from 'commander';
import { type LocalEvent, type LocalMesh, startLocalMesh } from '../local/index.ts';
import { formatFinding } from '../model/index.ts';
import { exitCode } from './exit-code.ts';
import { showLive } from './live-view.ts';

interface Options {
  readonly port?: number;
  readonly output: 'table' | 'json';
}

export const command = new Command('up')
  .argument('[app]', 'folder with a main.ts, or a file', '.')
  .option('--port <port>', 'port of 127.0.0.1 for requests to the gateway; else a free one', parsePort)
  .addOption(
    new Option('-o, --output <format>', 'json prints one line when everything is ready')
      .choices(['table', 'json'])
      .default('table'),
  )
  .addHelpText(
    'before',
    'Examples:\n  $ meshwright up examples/shop\n  $ meshwright up examples/shop --port 8080\n  $ meshwright up examples/shop -o json\n',
  )
  .action(async (app: string, { port, output }: Options) => {
    const interrupted = abortOnSignal();
    const view: View = { note: (line) => process.stderr.write(`${line}\n`) };
    const mesh = await start(app, port, interrupted, view);
    if (!mesh) return;
    announce(mesh, output);
    const live = output === 'table' && process.stdout.isTTY ? showLive(mesh.admin, process.stdout) : undefined;
    if (live) view.note = live.note;
    if (!interrupted.aborted) {
      await new Promise((resolve) => interrupted.addEventListener('abort', resolve, { once: true }));
    }
    live?.close();
    process.stderr.write('stopping\n');
    await mesh.stop();
  });

/** npm passes on the Ctrl-C that the terminal has sent us already: that is one. */
const repetition = 1000;

function abortOnSignal(): AbortSignal {
  const controller = new AbortController();
  let first: number | undefined;
  const onSignal = () => {
    first ??= performance.now();
    controller.abort();
    // Asked again: no more patience. The guardian ends what is left.
    if (performance.now() - first > repetition) process.exit(exitCode.failure);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  return controller.signal;
}

/** Where progress is told: standard error, or above the live view once there is one. */
interface View {
  note(line: string): void;
}

/** Nothing where it was interrupted. */
async function start(
  app: string,
  port: number | undefined,
  signal: AbortSignal,
  view: View,
): Promise<LocalMesh | undefined> {
  try {
    return await startLocalMesh({
      app,
      port,
      signal,
      onEvent: (event) => {
        for (const line of describe(event)) view.note(line);
      },
    });
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

function describe(event: LocalEvent): string[] {
  switch (event.kind) {
    case 'output':
      return [event.text.trimEnd()];
    case 'synthesised': {
      const failed = event.findings.some(({ severity }) => severity === 'error');
      const result = failed ? 'the app has errors' : `synthesised in ${event.duration.toFixed(0)} ms`;
      return [...event.findings.map(formatFinding), result];
    }
    case 'readiness':
      return [`${event.pod} is ${event.ready ? 'ready' : 'not ready'}`];
    case 'crash':
      return [`${event.process} ${event.reason}; it starts again in ${event.delay} ms`];
    case 'slow':
      return [formatFinding(event.finding)];
  }
}

function announce({ gateway, admin, logs }: LocalMesh, output: Options['output']): void {
  if (output === 'json') {
    process.stdout.write(`${JSON.stringify({ ready: true, gateway, admin })}\n`);
    return;
  }
  process.stdout.write(
    `\nThe mesh is ready.\n  requests  ${gateway ?? 'no gateway'}\n  API       ${admin}\n  logs      ${logs}\n\n`,
  );
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new InvalidArgumentError('a port is a number from 1 to 65535');
  }
  return port;
}
