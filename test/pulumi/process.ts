import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';
import type * as grpcModule from '@grpc/grpc-js';
import type { LogRequest } from '@pulumi/pulumi/proto/engine_pb.js';
import { Monitor, type MonitorOptions } from './monitor.ts';

const load = createRequire(createRequire(import.meta.url).resolve('@pulumi/pulumi'));
const grpc = load('@grpc/grpc-js') as typeof grpcModule;
const { ResourceMonitorService } = load('@pulumi/pulumi/proto/resource_grpc_pb.js');
const { EngineService } = load('@pulumi/pulumi/proto/engine_grpc_pb.js');
const { Empty } = load('google-protobuf/google/protobuf/empty_pb.js');

const languageHost = load.resolve('@pulumi/pulumi/cmd/run');
const timeLimit = 60_000;

export interface ProgramOptions extends MonitorOptions {
  readonly config?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface Run {
  readonly code: number | null;
  readonly monitor: Monitor;
  /** What it told the engine, by severity: 1 info, 2 warning, 3 error; 0 is for debugging. */
  readonly logs: readonly { readonly severity: number; readonly message: string }[];
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program in a process of its own, started as Pulumi's language host starts it, over gRPC. */
export async function runProgram(program: string, options: ProgramOptions = {}): Promise<Run> {
  const monitor = new Monitor(options);
  const logs: { severity: number; message: string }[] = [];
  await using server = await serve(monitor, (request) => {
    logs.push({ severity: request.getSeverity(), message: request.getMessage() });
  });
  const child = spawn(
    process.execPath,
    [
      languageHost,
      `--monitor=${server.address}`,
      `--engine=${server.address}`,
      `--project=${monitor.project}`,
      `--stack=${monitor.stack}`,
      `--pwd=${options.cwd ?? process.cwd()}`,
      '--parallel=16',
      ...(monitor.preview ? ['--dry-run'] : []),
      program,
    ],
    {
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        NO_COLOR: '1',
        PULUMI_NODEJS_TYPESCRIPT: 'false',
        PULUMI_CONFIG: JSON.stringify(options.config ?? {}),
        PULUMI_CONFIG_SECRET_KEYS: '[]',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeLimit,
    },
  );
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code, monitor, logs, stdout, stderr };
}

async function serve(monitor: Monitor, onLog: (request: LogRequest) => void) {
  const server = new grpc.Server();
  const methods = [
    'getDeploymentInfo',
    'supportsFeature',
    'registerResource',
    'registerResourceOutputs',
    'readResource',
    'signalAndWaitForShutdown',
  ] as const;
  const handle =
    <Request>(answer: (request: Request, reply: grpcModule.sendUnaryData<unknown>) => void) =>
    (call: grpcModule.ServerUnaryCall<Request, unknown>, reply: grpcModule.sendUnaryData<unknown>) =>
      answer(call.request, reply);
  const handlers = methods.map((method) => [
    method,
    handle<never>((request, reply) => monitor[method](request, reply)),
  ]);
  server.addService(ResourceMonitorService, Object.fromEntries(handlers));
  server.addService(EngineService, {
    log: handle<LogRequest>((request, reply) => {
      onLog(request);
      reply(null, new Empty());
    }),
    setRootResource: handle((_, reply) => reply({ code: grpc.status.UNIMPLEMENTED })),
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}
