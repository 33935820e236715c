import * as z from 'zod';
import { injectorName } from '../../injection/index.ts';
import { ApiError } from '../../kubernetes/index.ts';
import { controlPlane, injectEnabled, labels, proxyContainer } from '../../resources/index.ts';
import { certificatesOf, expiryOf } from './certificate.ts';
import { type Category, error } from './check.ts';
import type { ClusterView } from './cluster-view.ts';
import { meshedNamespaces } from './pods.ts';

const configurationSchema = z.object({
  webhooks: z
    .array(z.object({ name: z.string(), clientConfig: z.object({ caBundle: z.string().optional() }) }))
    .optional(),
});
const triedSchema = z.object({
  spec: z.object({ initContainers: z.array(z.object({ name: z.string() })).optional() }),
});

const install = 'meshwright install | kubectl apply --server-side -f -';
const logs = `kubectl -n ${controlPlane.namespace} logs deployment/${controlPlane.name}`;

/** What puts sidecars beside pods. */
export const injector: Category = {
  name: 'injector',
  needs: ['control-plane'],
  checks: [
    {
      id: 'injector-configured',
      description: 'the API server is to ask the controller about new pods',
      fatal: true,
      settles: true,
      async run(cluster) {
        if ((await webhooks(cluster)).length > 0) return;
        return error(`there is no MutatingWebhookConfiguration ${injectorName} with a webhook`, install);
      },
    },
    {
      id: 'injector-certificate',
      description: "it trusts the controller's certificate",
      fatal: true,
      settles: true,
      async run(cluster, { now }) {
        for (const { name, clientConfig } of await webhooks(cluster)) {
          const pem = Buffer.from(clientConfig.caBundle ?? '', 'base64').toString();
          const problem = expiryOf(certificatesOf(pem), `the caBundle of webhook ${name}`, logs, now);
          if (problem) return problem;
        }
      },
    },
    {
      id: 'injector-answers',
      description: 'a new pod would get a sidecar',
      settles: true,
      async run(cluster) {
        const [meshed] = await meshedNamespaces(cluster);
        const namespace = meshed?.metadata.name ?? 'default';
        try {
          const tried = triedSchema.parse(await cluster.tryOut(samplePod(namespace)));
          if (tried.spec.initContainers?.some(({ name }) => name === proxyContainer)) return;
        } catch (reason) {
          // Refused by rights, quota or admission, which says nothing of the webhook.
          if (!(reason instanceof ApiError) || reason.status < 500) throw reason;
          return error(reason.message, logs);
        }
        return error(`a dry run of one in namespace ${namespace} came back without`, logs);
      },
    },
  ],
};

async function webhooks(cluster: ClusterView) {
  const object = await cluster.read({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    name: injectorName,
  });
  return (object && configurationSchema.parse(object).webhooks) ?? [];
}

function samplePod(namespace: string) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'meshwright-check', namespace, labels: { [labels.inject]: injectEnabled } },
    spec: { containers: [{ name: 'check', image: 'meshwright.invalid/check' }] },
  };
}
