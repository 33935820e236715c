import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { CertificateAuthority } from '../../runtime/identity/authority.ts';
import type { Resource } from '../../runtime/model/index.ts';
import type { Bootstrap } from '../../runtime/proxy/bootstrap.ts';
import { benchIdentity, issueSvid } from '../certificates.ts';
import { freePorts } from '../host/ports.ts';
import type { RunningProcess, Workspace } from '../host/workspace.ts';
import { appResources, appService, clientResources, containerPort, servicePort } from './mesh.ts';
import { measuredPath, type Pair } from './pair.ts';

export interface MeshwrightOptions {
  readonly workspace: Workspace;
  readonly authority: CertificateAuthority;
  /** The port of the backend. */
  readonly backend: number;
  /** Of the node that runs the sidecars. */
  readonly nodeFlags: readonly string[];
  /** The program that has the `sidecar` command. */
  readonly program: string;
}

/** The program as it stands in the checkout. */
export const sourceProgram = fileURLToPath(new URL('../../runtime/cli/main.ts', import.meta.url));

/** Starts the sidecars of a caller and of the application it calls, with metrics and an access log each. */
export async function startMeshwright(options: MeshwrightOptions): Promise<Pair> {
  const { backend } = options;
  const [outbound, inbound, clientAdmin, appAdmin, controller] = await freePorts(5);
  const client = await startSidecar(options, 'client', clientResources(inbound), {
    controller,
    admin: clientAdmin,
    outbound: [{ listen: `127.0.0.1:${outbound}`, service: appService, port: servicePort }],
  });
  const app = await startSidecar(options, 'app', appResources, {
    controller,
    admin: appAdmin,
    inbound: [{ listen: `127.0.0.1:${inbound}`, port: containerPort, app: `127.0.0.1:${backend}` }],
  });
  return {
    name: 'meshwright',
    url: `http://127.0.0.1:${outbound}${measuredPath}`,
    processes: [client.process, app.process],
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
  const { workspace, authority } = options;
  const stateDir = workspace.path(name);
  await mkdir(stateDir, { mode: 0o700 });
  const id = benchIdentity(name);
  const bootstrap: Bootstrap = {
    id: `${name}-0.bench`,
    namespace: id.namespace,
    serviceAccount: id.serviceAccount,
    workload: `bench/${name}`,
    trustDomain: id.trustDomain,
    controller: { address: `127.0.0.1:${ports.controller}`, bundle: authority.bundlePem },
    tokenFile: workspace.path('token'),
    inbound: ports.inbound ?? [],
    outbound: { services: ports.outbound ?? [] },
    gateway: [],
    admin: `127.0.0.1:${ports.admin}`,
    stateDir,
    accessLog: workspace.path(`${name}.log`),
  };
  const config = workspace.path(`${name}.json`);
  await Promise.all([
    writeFile(config, JSON.stringify(bootstrap)),
    writeFile(bootstrap.tokenFile, 'no controller asks for it'),
    writeFile(`${stateDir}/resources.json`, JSON.stringify(resources)),
    writeFile(`${stateDir}/svid.json`, JSON.stringify(await issueSvid(authority, id)), { mode: 0o600 }),
  ]);
  const args = [...options.nodeFlags, options.program, 'sidecar', '--config', config];
  return {
    process: workspace.start(`sidecar ${name}`, process.execPath, args),
    accessLog: workspace.path(`${name}.log`),
  };
}
