import * as z from 'zod';
import { apiVersions, controlPlane, labels } from '../../resources/index.ts';
import { type Category, error, some, warning } from './check.ts';
import type { ClusterView } from './cluster-view.ts';
import { livePods, waitingOf } from './pods.ts';

/*
 * The Deployment, Service and Lease of the controller.
 */

const text = z.string();
const deploymentSchema = z.object({
  metadata: z.object({ generation: z.int().optional(), labels: z.record(text, text).optional() }),
  spec: z.object({
    replicas: z.int(),
    template: z.object({
      spec: z.object({
        containers: z
          .array(z.object({ image: text, env: z.array(z.object({ name: text, value: text.optional() })).optional() }))
          .min(1),
      }),
    }),
  }),
  status: z.object({
    observedGeneration: z.int().optional(),
    updatedReplicas: z.int().optional(),
    readyReplicas: z.int().optional(),
  }),
});
const sliceSchema = z.object({
  endpoints: z.array(z.object({ conditions: z.object({ ready: z.boolean().nullish() }).optional() })).nullish(),
  ports: z.array(z.object({ name: text.nullish() })).nullish(),
});
const leaseSchema = z.object({
  spec: z.object({
    holderIdentity: text.optional(),
    renewTime: text.optional(),
    leaseDurationSeconds: z.int().optional(),
  }),
});

const install = 'meshwright install | kubectl apply --server-side -f -';
const logs = `kubectl -n ${controlPlane.namespace} logs deployment/${controlPlane.name}`;
const servicePorts = ['grpc-xds', 'https-webhook'];

export async function controllerDeployment(cluster: ClusterView) {
  const { namespace, name } = controlPlane;
  const object = await cluster.read({ apiVersion: apiVersions.apps, kind: 'Deployment', namespace, name });
  return object && deploymentSchema.parse(object);
}

export const controller: Category = {
  name: 'control-plane',
  needs: ['kubernetes'],
  checks: [
    {
      id: 'controller-installed',
      description: 'the controller is installed',
      fatal: true,
      settles: true,
      async run(cluster) {
        if (await controllerDeployment(cluster)) return;
        return error(`there is no Deployment ${controlPlane.namespace}/${controlPlane.name}`, install);
      },
    },
    {
      id: 'controller-ready',
      description: 'all its replicas are ready',
      settles: true,
      async run(cluster) {
        const { metadata, spec, status } = (await controllerDeployment(cluster))!;
        const { updatedReplicas = 0, readyReplicas = 0, observedGeneration = 0 } = status;
        const current = observedGeneration >= (metadata.generation ?? 0);
        if (current && updatedReplicas >= spec.replicas && readyReplicas >= spec.replicas) return;
        const counts = `${readyReplicas} of ${spec.replicas} ready, ${updatedReplicas} of the latest revision`;
        const why = await reasons(cluster);
        return error(`${counts}${why ? `; ${why}` : ''}`, logs);
      },
    },
    {
      id: 'controller-replicas',
      description: 'it survives the loss of a node',
      async run(cluster) {
        const { spec } = (await controllerDeployment(cluster))!;
        if (spec.replicas >= 2) return;
        const hint = 'meshwright install --replicas 2 | kubectl apply --server-side -f -';
        return warning(`it has ${spec.replicas} replica; without it no pod of a mesh can start`, hint);
      },
    },
    {
      id: 'controller-endpoints',
      description: 'its Service leads to it',
      settles: true,
      async run(cluster) {
        const slices = await cluster.list(
          { apiVersion: apiVersions.discovery, kind: 'EndpointSlice' },
          { namespace: controlPlane.namespace, labelSelector: `${labels.serviceName}=${controlPlane.name}` },
        );
        const ready = slices
          .map((slice) => sliceSchema.parse(slice))
          .filter(({ endpoints }) => endpoints?.some(({ conditions }) => conditions?.ready !== false));
        const served = new Set(ready.flatMap(({ ports }) => ports?.map(({ name }) => name) ?? []));
        const missing = servicePorts.filter((port) => !served.has(port));
        if (missing.length === 0) return;
        return error(
          `Service ${controlPlane.namespace}/${controlPlane.name} has no ready endpoint for ${missing.join(', ')}`,
          `kubectl -n ${controlPlane.namespace} describe service ${controlPlane.name}`,
        );
      },
    },
    {
      id: 'controller-leader',
      description: 'one replica leads',
      settles: true,
      async run(cluster, { now }) {
        const { namespace, name } = controlPlane;
        const object = await cluster.read({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', namespace, name });
        if (!object) return error(`there is no Lease ${namespace}/${name}: none has ever led`, logs);
        const { holderIdentity, renewTime, leaseDurationSeconds = 15 } = leaseSchema.parse(object).spec;
        if (!holderIdentity || !renewTime) return error('nobody holds the Lease', logs);
        const age = now - Date.parse(renewTime);
        if (age <= leaseDurationSeconds * 1000) return;
        return error(`${holderIdentity} led last ${Math.round(age / 1000)} s ago`, logs);
      },
    },
    {
      id: 'controller-version',
      description: 'it is of the version of this command line',
      async run(cluster, { version }) {
        const { metadata } = (await controllerDeployment(cluster))!;
        const found = metadata.labels?.[labels.appVersion];
        if (found === version) return;
        return warning(
          `it is ${found ?? 'of an unknown version'}, this command line ${version}`,
          `${install}, or use the command line of the other version`,
        );
      },
    },
  ],
};

/** Why pods of the controller do not run. */
async function reasons(cluster: ClusterView): Promise<string> {
  const { namespace, name } = controlPlane;
  const pods = await livePods(cluster, { namespace, labelSelector: `${labels.appName}=${name}` });
  const found = pods.flatMap(({ metadata, status }) => {
    const reason = waitingOf(status.containerStatuses);
    return reason ? [`${metadata.name}: ${reason}`] : [];
  });
  return some(found, 2);
}
