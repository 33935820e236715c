import { createAuthoritySvidSource, type WorkloadClaims } from '../identity/authority.ts';
import { controllerIdentity, type Logger } from '../identity/index.ts';
import { type Clock, type Finding, formatFinding, type Random, systemClock } from '../model/index.ts';
import { createTranslator } from '../translate/index.ts';
import { createControlPlaneHandler, createControlPlaneServer, DiscoveryCache } from '../xds/server.ts';
import { createApiServer } from './api/server.ts';
import { nackFindings, viewProxy, viewServices } from './api/views.ts';
import { AuthorityKeeper } from './authority/authority-keeper.ts';
import type { AuthorityStore } from './authority/authority-store.ts';
import { watchAuthority } from './authority/watch-authority.ts';
import { listen } from './listen.ts';
import { findingsOf, firstState, type MeshState, nextState } from './mesh-state.ts';
import type { Provider } from './provider.ts';
import { type RefusalMessages, readRefusals } from './refusals.ts';
import { sliceResources } from './slices.ts';
import { startScraper } from './telemetry/scraper.ts';
import { Traffic } from './telemetry/traffic.ts';

export interface ControllerOptions {
  /** Where the objects of the mesh come from. The controller closes it. */
  readonly provider: Provider;
  /** Trust domain of the certificates that there are. @default - what the Mesh object names, else `cluster.local` */
  readonly trustDomain?: () => Promise<string | undefined>;
  /** Where the certificate authority is kept. */
  readonly authorityStore: (trustDomain: string) => AuthorityStore;
  /** Whose token it is; rejects with a `TokenError`. */
  readonly verifyToken: (token: string) => Promise<WorkloadClaims>;
  /** Whether this is the one of several controllers that changes what they share. */
  readonly isLeader: () => boolean;
  /** `host:port` for the proxies: certificates and discovery. Port 0 takes a free one. */
  readonly listen: string;
  /** `host:port` for the API; loopback, as it asks nobody who they are. @default - a free port of 127.0.0.1 */
  readonly api?: string;
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
  readonly authority: AuthorityKeeper;
  /** What is wrong now, as `/api/v1/findings` tells. */
  findings(): readonly Finding[];
  /** What the proxies that are connected here refuse now. */
  refusals(): RefusalMessages;
  /** Calls back with the state of the mesh, now and whenever it changed. */
  onMesh(listener: (mesh: MeshState) => void): void;
  /** From now on the API says that the controller is not ready. */
  leave(): void;
  /** Sends the proxies away, over so many milliseconds. */
  drain(duration: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Runs the control plane: reads the objects of the mesh, translates them, gives each proxy its certificate and its slice
 * of the configuration, and tells over an API how the mesh is.
 *
 * @returns when proxies can connect; rejects where a port is in use or the authority cannot be read
 */
export async function startController(options: ControllerOptions): Promise<Controller> {
  const opened: (() => unknown)[] = [() => options.provider.close()];
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
  const { provider, verifyToken, isLeader, logger, clock = systemClock, random = Math.random } = options;
  let ready = true;
  const translator = createTranslator();
  let mesh = firstState(await provider.read(), translator, await options.trustDomain?.());
  let slices = sliceResources(mesh.resources);
  const cache = new DiscoveryCache();
  cache.set(mesh.resources);
  logFindings(logger, [], findingsOf(mesh));

  const { trustDomain } = mesh;
  const store = options.authorityStore(trustDomain);
  const authority = await AuthorityKeeper.open({ store, trustDomain, clock, logger });
  const keeping = watchAuthority({ keeper: authority, isLeader, clock, logger });
  opened.push(() => keeping.close());
  const svid = createAuthoritySvidSource({ authority, id: controllerIdentity(trustDomain), clock, random, logger });
  opened.push(() => svid.close());
  authority.onChange(() => svid.renew());
  await svid.start();
  const handler = createControlPlaneHandler({
    authority,
    verifyToken,
    cache,
    authorize: (identity, kind, name) => slices.permit(identity, kind, name),
    clock,
    logger,
  });
  const control = await listen(createControlPlaneServer({ svid, handler }), options.listen);
  opened.push(control.close, () => handler.close());

  const listeners: ((mesh: MeshState) => void)[] = [];
  provider.watch((manifest, changed) => {
    const before = mesh;
    mesh = nextState(before, manifest, translator, changed);
    logFindings(logger, findingsOf(before), findingsOf(mesh));
    if (mesh.resources !== before.resources) {
      slices = sliceResources(mesh.resources);
      const change = cache.set(mesh.resources);
      // Where endpoints are is no matter of who may see what.
      if ([...change.keys()].some((kind) => kind !== 'endpoints')) handler.reauthorize();
      if (change.size) logger.info({ changed: Object.fromEntries(change) }, 'the configuration changed');
    }
    for (const listener of listeners) listener(mesh);
  });

  const traffic = new Traffic();
  const proxies = () => handler.proxies().map((proxy) => viewProxy(proxy, (kind, name) => cache.version(kind, name)));
  const findings = () => [...findingsOf(mesh), ...authority.findings(), ...nackFindings(proxies())];
  const scraper = startScraper({
    clock,
    targets: () =>
      proxies().flatMap(({ id, admin }) => (admin && slices.isEndpoint(admin) ? [{ id, address: admin }] : [])),
    onMetrics: ({ id }, text) => traffic.record(id, text, clock.now()),
    onRound: (targets) => traffic.retain(new Set(targets.map(({ id }) => id))),
  });
  opened.push(() => scraper.close());
  const sources = {
    proxies,
    services: () => viewServices(mesh.resources),
    stats: () => traffic.services(),
    edges: () => traffic.edges(),
    policies: () => traffic.policies(),
    findings,
    statuses: () => mesh.statuses,
  };
  const api = await listen(
    createApiServer(sources, () => ready),
    options.api ?? '127.0.0.1:0',
  );
  opened.push(api.close);
  logger.info({ address: control.address, api: api.address, trustDomain }, 'the controller is ready');
  return {
    address: control.address,
    api: `http://${api.address}`,
    trustDomain,
    get bundlePem() {
      return authority.bundlePem;
    },
    authority,
    findings,
    refusals: () => readRefusals(handler.proxies()),
    onMesh(listener) {
      listeners.push(listener);
      listener(mesh);
    },
    leave() {
      ready = false;
    },
    drain: (duration) => control.drain(duration, clock),
  };
}

function logFindings(logger: Logger, before: readonly Finding[], now: readonly Finding[]): void {
  const known = new Set(before.map(formatFinding));
  for (const finding of now) {
    if (finding.severity === 'info' || known.has(formatFinding(finding))) continue;
    logger.warn({ finding }, formatFinding(finding));
  }
}
