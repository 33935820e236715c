import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { writeBundle } from '../../image/bundle.ts';
import { environment, nodeFlags } from '../../image/process.ts';
import type { CertificateAuthority } from '../../runtime/identity/authority.ts';
import { proxyVariables } from '../../runtime/injection/containers.ts';
import { readProxyOptions } from '../../runtime/injection/proxy-options.ts';
import { bootstrapVariable, type Resource } from '../../runtime/model/index.ts';
import type { Bootstrap } from '../../runtime/proxy/bootstrap.ts';
import { freePorts } from '../host/ports.ts';
import type { RunningProcess, StartOptions } from '../host/workspace.ts';
import { benchIdentity, issueSvid } from './certificates.ts';
import { appResources, appService, clientResources, containerPort, servicePort } from './mesh.ts';
import { measuredPath, type Pair, type PairOptions } from './pair.ts';

/** A way to run our program. */
export interface Program {
  /** Of node, the program's own file last. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** The program as it stands in the checkout. */
export const sources: Program = {
  args: [fileURLToPath(new URL('../../runtime/cli/main.ts', import.meta.url))],
  environment: {},
};

/**
 * The program as a pod without annotations runs it: the bundle of the image, its flags and variables of Node, and the
 * bounds of the heap that injection sets. Only the kernel's limit of memory is not there.
 */
export async function production(directory: string): Promise<Program> {
  const { resources, concurrency } = readProxyOptions({}, 'bench').options;
  const heap = proxyVariables('', resources.limits.memory, concurrency).find(
    ({ name }) => name === 'NODE_OPTIONS',
  )?.value;
  return {
    args: [...nodeFlags, await writeBundle(directory)],
    environment: { ...environment, ...(heap ? { NODE_OPTIONS: String(heap) } : {}) },
  };
}

export interface MeshwrightOptions extends PairOptions {
  readonly authority: CertificateAuthority;
  readonly program: Program;
  /** Of Node, besides those of the program. */
  readonly nodeFlags: readonly string[];
  /** Processes of each sidecar. */
  readonly concurrency: number;
  readonly onOutput?: StartOptions['onOutput'];
}

/** Starts the sidecars of a caller and of the application it calls, with metrics and an access log each. */
export async function startMeshwright(options: MeshwrightOptions): Promise<Pair> {
  const { backend, application, services } = options;
  const [outbound, inbound, clientAdmin, appAdmin, controller] = await freePorts(5);
  const client = await startSidecar(options, 'client', clientResources(inbound, application, services), {
    controller,
    admin: clientAdmin,
    outbound: [{ listen: `127.0.0.1:${outbound}`, service: appService, port: servicePort }],
  });
  const app = await startSidecar(options, 'app', appResources(application), {
    controller,
    admin: appAdmin,
    inbound: [{ listen: `127.0.0.1:${inbound}`, port: containerPort, app: `127.0.0.1:${backend}` }],
  });
  return {
    name: 'meshwright',
    application,
    url: `http://127.0.0.1:${outbound}${measuredPath[application]}`,
    processes: [client.process, app.process],
    admin: `http://127.0.0.1:${clientAdmin}`,
    logs: [client.accessLog, app.accessLog],
  };
}

interface SidecarPorts {
  /** Nobody listens there: the sidecar lives from its state directory. */
  readonly controller: number;
  readonly admin: number;
  readonly inbound?: Bootstrap['inbound'];
  readonly outbound?: Bootstrap['outbound']['services'];
}

async function startSidecar(
  options: MeshwrightOptions,
  name: string,
  resources: readonly Resource[],
  ports: SidecarPorts,
): Promise<{ process: RunningProcess; accessLog: string }> {
  const { workspace, authority, program, nodeFlags, concurrency, onOutput } = options;
  const stateDir = workspace.path(name);
  await mkdir(stateDir, { mode: 0o700 });
  const id = benchIdentity(name);
  const accessLog = workspace.path(`${name}.log`);
  const bootstrap: Bootstrap = {
    id: `${name}-0.bench`,
    namespace: id.namespace,
    serviceAccount: id.serviceAccount,
    workload: `bench/${name}`,
    trustDomain: id.trustDomain,
    controller: { address: `127.0.0.1:${ports.controller}`, bundle: authority.bundlePem },
    tokenFile: await workspace.write('token', 'no controller asks for it'),
    inbound: ports.inbound ?? [],
    outbound: { services: ports.outbound ?? [] },
    gateway: [],
    admin: `127.0.0.1:${ports.admin}`,
    stateDir,
    accessLog,
    concurrency,
  };
  await writeFile(`${stateDir}/resources.json`, JSON.stringify(resources));
  await writeFile(`${stateDir}/svid.json`, JSON.stringify(await issueSvid(authority, id)), { mode: 0o600 });
  // As injection gives it.
  const environment = { ...program.environment, [bootstrapVariable]: JSON.stringify(bootstrap) };
  const args = [...nodeFlags, ...program.args, 'sidecar'];
  const how = { environment, onOutput };
  return { process: workspace.start(`sidecar ${name}`, process.execPath, args, how), accessLog };
}
