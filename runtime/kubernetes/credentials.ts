import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Clock, formatHostPort } from '../model/index.ts';

/** Where the server is, and what proves who asks. */
export interface Credentials {
  readonly server: URL;
  /** TLS options and headers for the next request. */
  options(): Promise<RequestOptions>;
}

export interface CredentialsOptions {
  /** @default - the pod's own, else what `KUBECONFIG` names, else `~/.kube/config` */
  readonly kubeconfig?: string;
  /** @default - the current one of the kubeconfig */
  readonly context?: string;
}

const podDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Tokens are replaced under way; client-go reads them as often. */
const tokenLifetime = 60_000;

export async function findCredentials(options: CredentialsOptions, clock: Clock): Promise<Credentials> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = process.env;
  const inPod = host && options.kubeconfig === undefined && options.context === undefined && existsSync(podDirectory);
  return inPod
    ? podCredentials(`https://${formatHostPort({ host, port })}`, podDirectory, clock)
    : kubeconfigCredentials(options);
}

/** Those of a pod's service account: a token and the server's roots, both replaced under way. */
export function podCredentials(server: string, directory: string, clock: Clock): Credentials {
  let known: { readonly options: RequestOptions; readonly until: number } | undefined;
  return {
    server: new URL(server),
    async options() {
      if (known && clock.now() < known.until) return known.options;
      const [token, ca] = await Promise.all([
        readFile(join(directory, 'token'), 'utf8'),
        readFile(join(directory, 'ca.crt'), 'utf8'),
      ]);
      const options = { ca, headers: { authorization: `Bearer ${token.trim()}` } };
      known = { options, until: clock.now() + tokenLifetime };
      return options;
    },
  };
}

async function kubeconfigCredentials({ kubeconfig, context }: CredentialsOptions): Promise<Credentials> {
  if (!kubeconfig && !process.env.KUBECONFIG && !existsSync(join(homedir(), '.kube', 'config'))) {
    throw new Error('there is no kubeconfig: set KUBECONFIG or write ~/.kube/config');
  }
  // Loaded only here: it costs 90 MB, and in a pod nobody needs it.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (kubeconfig) config.loadFromFile(kubeconfig);
  else config.loadFromDefault();
  if (context !== undefined) {
    const known = config.getContexts().map(({ name }) => name);
    if (!known.includes(context)) throw new Error(`the kubeconfig has no context ${context}, only ${known.join(', ')}`);
    config.setCurrentContext(context);
  }
  const cluster = config.getCurrentCluster();
  if (!cluster)
    throw new Error(`the context ${config.getCurrentContext() || '(none)'} of the kubeconfig has no cluster`);
  const server = new URL(cluster.server);
  if (server.protocol !== 'https:') throw new Error(`the server must be https, got ${cluster.server}`);
  return {
    server,
    async options() {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      // Their agent keeps no connection alive; it is needed only where it knows of a proxy.
      if (!cluster.proxyUrl) delete options.agent;
      return options;
    },
  };
}
