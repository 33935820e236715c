import * as z from 'zod';
import { trustBundle } from '../../injection/index.ts';
import { controlPlane } from '../../resources/index.ts';
import { certificatesOf, expiryOf, leadsTo } from './certificate.ts';
import { type Category, error, some } from './check.ts';
import type { ClusterView } from './cluster-view.ts';
import { livePods, meshedNamespaces, proxyOf } from './pods.ts';

const authority = 'meshwright-ca';
const { configMap: bundleName, key: bundleKey } = trustBundle;

const secretSchema = z.object({ data: z.record(z.string(), z.string()).optional() });
const bundleSchema = z.object({
  metadata: z.object({ namespace: z.string() }),
  data: z.record(z.string(), z.string()).optional(),
});

const logs = `kubectl -n ${controlPlane.namespace} logs deployment/${controlPlane.name}`;
const rotate = 'see docs/identity.md for how it is renewed';

/** The certificates that all identities hang on. */
export const certificates: Category = {
  name: 'certificates',
  needs: ['control-plane'],
  checks: [
    {
      id: 'authority-expiry',
      description: 'the certificate that signs identities is valid for long',
      settles: true,
      async run(cluster, { now }) {
        const chain = await signingChain(cluster);
        return chain
          ? expiryOf(chain.slice(0, 1), `tls.crt of Secret ${authority}`, rotate, now)
          : error(`there is no Secret ${controlPlane.namespace}/${authority}`, logs);
      },
    },
    {
      id: 'root-expiry',
      description: 'the roots that proxies trust are valid for long',
      async run(cluster, { now }) {
        for (const [namespace, roots] of await trustBundles(cluster)) {
          const problem = expiryOf(roots, `${bundleKey} of ConfigMap ${namespace}/${bundleName}`, rotate, now);
          if (problem) return problem;
        }
      },
    },
    {
      id: 'root-distributed',
      description: 'every namespace of the mesh has them',
      settles: true,
      async run(cluster) {
        const bundles = await trustBundles(cluster);
        const wanted = new Set([
          ...(await meshedNamespaces(cluster)).map(({ metadata }) => metadata.name),
          ...(await livePods(cluster)).filter(proxyOf).map(({ metadata }) => metadata.namespace),
        ]);
        const missing = [...wanted].filter((namespace) => !bundles.get(namespace)?.length);
        if (missing.length > 0) return error(`no ConfigMap ${bundleName} in ${some(missing.sort())}`, logs);
      },
    },
    {
      id: 'authority-trusted',
      description: 'they verify the certificate that signs',
      settles: true,
      async run(cluster) {
        const chain = await signingChain(cluster);
        if (!chain?.length) return;
        const strange = [...(await trustBundles(cluster))]
          .filter(([, roots]) => !leadsTo(chain, roots))
          .map(([namespace]) => namespace);
        if (strange.length === 0) return;
        return error(`those of ${some(strange.sort())} do not, so proxies there would refuse all others`, logs);
      },
    },
  ],
};

/** The certificate of the authority, then those above it. */
export async function signingChain(cluster: ClusterView) {
  const { namespace } = controlPlane;
  const object = await cluster.read({ apiVersion: 'v1', kind: 'Secret', namespace, name: authority });
  const { data = {} } = object ? secretSchema.parse(object) : {};
  return object && certificatesOf(Buffer.from(data['tls.crt'] ?? '', 'base64').toString());
}

/** Roots by namespace. */
async function trustBundles(cluster: ClusterView) {
  const fieldSelector = `metadata.name=${bundleName}`;
  const objects = await cluster.list({ apiVersion: 'v1', kind: 'ConfigMap' }, { fieldSelector });
  return new Map(
    objects.map((object) => {
      const { metadata, data } = bundleSchema.parse(object);
      return [metadata.namespace, certificatesOf(data?.[bundleKey] ?? '')] as const;
    }),
  );
}
