import { createAuthoritySvidSource, verifyWorkloadToken } from '../identity/authority.ts';
import { controllerIdentity, type Logger } from '../identity/index.ts';
import { type Clock, type Finding, formatFinding, type Random, systemClock } from '../model/index.ts';
import { createControlPlaneHandler, createControlPlaneServer, DiscoveryCache } from '../xds/server.ts';
import { createApiServer } from './api/server.ts';
import { nackFindings, viewProxy, viewServices } from './api/views.ts';
import { AuthorityKeeper } from './authority/authority-keeper.ts';
import { FileAuthorityStore } from './authority/file-authority-store.ts';
import { watchAuthority } from './authority/watch-authority.ts';
import { createFileProvider } from './files/file-provider.ts';
import { listen } from './listen.ts';
import { firstState, nextState } from './mesh-state.ts';
import { sliceResources } from './slices.ts';
import { startScraper } from './telemetry/scraper.ts';
import { Traffic } from './telemetry/traffic.ts';

export interface ControllerOptions {
  /** Directories of manifests, read recursively and watched. */
  readonly manifests: readonly string[];
  /** `host:port` for the proxies: certificates and discovery. Port 0 takes a free one. */
  readonly listen: string;
  /** `host:port` for the API; loopback, as it asks nobody who they are. @default - a free port of 127.0.0.1 */
  readonly api?: string;
  /** Where the certificate authority is kept. */
  readonly stateDirectory: string;
  /** What workload tokens are verified with. */
  readonly tokenPublicKeyPem: string;
  readonly logger: Logger;
  /** @default - the machine's clock */
  readonly clock?: Clock;
  /** @default - Math.random */
  readonly random?: Random;
}

export interface Controller {
  /** `host:port` for the proxies. */
  readonly address: string;
  /** URL of the API. */
  readonly api: string;
  readonly trustDomain: string;
  /** PEM of the roots to verify the controller, and every peer, with. */
  readonly bundlePem: string;
  /** What is wrong now, as `/api/v1/findings` tells. */
  findings(): readonly Finding[];
  close(): Promise<void>;
}

/**
 * Runs the control plane: reads manifests, translates them, gives each proxy its certificate and its slice of the
 * configuration, and tells over an API how the mesh is.
 *
 * @returns when proxies can connect; rejects where a port is in use or the authority's state cannot be read
 */
export async function startController(options: ControllerOptions): Promise<Controller> {
  const opened: (() => unknown)[] = [];
  const close = async () => {
    for (const end of opened.splice(0).reverse()) await end();
  };
  try {
    return Object.assign(await start(options, opened), { close });
  } catch (error) {
    await close();
    throw error;
  }
}

/** Adds to `opened` what has to be closed, in the order in which it was opened. */
async function start(options: ControllerOptions, opened: (() => unknown)[]): Promise<Omit<Controller, 'close'>> {
  const { logger, clock = systemClock, random = Math.random } = options;
  const provider = createFileProvider({ directories: options.manifests, clock });
  let mesh = firstState(await provider.read());
  let slices = sliceResources(mesh.resources);
  const cache = new DiscoveryCache();
  cache.set(mesh.resources);
  logFindings(logger, [], mesh.findings);

  const { trustDomain } = mesh;
  const store = new FileAuthorityStore({ directory: options.stateDirectory, trustDomain });
  const authority = await AuthorityKeeper.open({ store, trustDomain, clock, logger });
  const keeping = watchAuthority({ keeper: authority, isLeader: () => true, clock, logger });
  opened.push(() => keeping.close());
  const svid = createAuthoritySvidSource({ authority, id: controllerIdentity(trustDomain), clock, random, logger });
  opened.push(() => svid.close());
  authority.onChange(() => svid.renew());
  await svid.start();
  const handler = createControlPlaneHandler({
    authority,
    verifyToken: (token) => verifyWorkloadToken(token, { publicKeyPem: options.tokenPublicKeyPem, clock }),
    cache,
    authorize: (identity, kind, name) => slices.permit(identity, kind, name),
    clock,
    logger,
  });
  const control = await listen(createControlPlaneServer({ svid, handler }), options.listen);
  opened.push(control.close, () => handler.close());

  opened.push(() => provider.close());
  provider.watch((manifest) => {
    const before = mesh;
    mesh = nextState(before, manifest);
    logFindings(logger, before.findings, mesh.findings);
    if (mesh.resources === before.resources) return;
    slices = sliceResources(mesh.resources);
    const change = cache.set(mesh.resources);
    handler.reauthorize();
    if (change.size) logger.info({ changed: Object.fromEntries(change) }, 'the configuration changed');
  });

  const traffic = new Traffic();
  const proxies = () => handler.proxies().map((proxy) => viewProxy(proxy, (kind, name) => cache.version(kind, name)));
  const findings = () => [...mesh.findings, ...authority.findings(), ...nackFindings(proxies())];
  const scraper = startScraper({
    clock,
    targets: () =>
      proxies().flatMap(({ id, admin }) => (admin && slices.isEndpoint(admin) ? [{ id, address: admin }] : [])),
    onMetrics: ({ id }, text) => traffic.record(id, text, clock.now()),
    onRound: (targets) => traffic.retain(new Set(targets.map(({ id }) => id))),
  });
  opened.push(() => scraper.close());
  const server = createApiServer({
    proxies,
    services: () => viewServices(mesh.resources),
    stats: () => traffic.services(),
    edges: () => traffic.edges(),
    findings,
    statuses: () => mesh.statuses,
  });
  const api = await listen(server, options.api ?? '127.0.0.1:0');
  opened.push(api.close);
  logger.info({ address: control.address, api: api.address, trustDomain }, 'the controller is ready');
  return {
    address: control.address,
    api: `http://${api.address}`,
    trustDomain,
    get bundlePem() {
      return authority.bundlePem;
    },
    findings,
  };
}

function logFindings(logger: Logger, before: readonly Finding[], now: readonly Finding[]): void {
  const known = new Set(before.map(formatFinding));
  for (const finding of now) {
    if (finding.severity === 'info' || known.has(formatFinding(finding))) continue;
    logger.warn({ finding }, formatFinding(finding));
  }
}
