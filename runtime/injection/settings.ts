import { controlPlane, defaultImage, defaultTrustDomain, proxyAdminPort } from '../resources/index.ts';

/** What all proxies of a mesh are given. */
export interface InjectionSettings {
  readonly trustDomain: string;
  readonly image: string;
  /** `host:port` of the controller, as pods reach it. */
  readonly controllerAddress: string;
  /** Whether proxies write an access log where their pod says nothing about it. */
  readonly accessLog: boolean;
}

export const defaultSettings: InjectionSettings = {
  trustDomain: defaultTrustDomain,
  image: defaultImage,
  controllerAddress: `${controlPlane.name}.${controlPlane.namespace}.svc:15010`,
  accessLog: true,
};

/** Where a sidecar listens. */
export const proxyPorts = { outbound: 15_001, inbound: 15_006, admin: proxyAdminPort } as const;

/** User and group of the proxy: connections of this user are not redirected to it. */
export const proxyUser = 1337;

/** Sets up the redirection, and ends. */
export const redirectContainer = 'meshwright-redirect';

/** In every namespace of the mesh: the certificates that the controller's must chain to. */
export const trustBundle = { configMap: 'meshwright-root', key: 'root.pem' } as const;

/** Whom the token is for that proves who a proxy is. */
const tokenAudience = 'meshwright.dev';
const identityPath = '/var/run/meshwright/identity';
const statePath = '/var/run/meshwright/state';

/** The files of a proxy. */
export const proxyFiles = {
  token: `${identityPath}/token`,
  bundle: `${identityPath}/${trustBundle.key}`,
  state: statePath,
} as const;

/** What holds these files. */
export const proxyVolumes = [
  {
    name: 'meshwright-identity',
    projected: {
      sources: [
        { serviceAccountToken: { audience: tokenAudience, path: 'token', expirationSeconds: 3600 } },
        { configMap: { name: trustBundle.configMap, items: [{ key: trustBundle.key, path: trustBundle.key }] } },
      ],
    },
  },
  // A certificate with its key is kept here: in memory, never on the disk of the node.
  { name: 'meshwright-state', emptyDir: { medium: 'Memory' } },
] as const;

export const proxyVolumeMounts = [
  { name: 'meshwright-identity', mountPath: identityPath, readOnly: true },
  { name: 'meshwright-state', mountPath: statePath },
] as const;
