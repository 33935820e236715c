import * as z from 'zod';
import { objectMeta, portNumber, templateMeta } from './metadata.ts';
import { apiVersions } from './names.ts';

/*
 * The part of Kubernetes that we read or write. Fields beyond it are allowed and dropped.
 */

const text = z.string();
const portOrName = z.union([portNumber, text]);

const probe = z.object({
  httpGet: z.object({ path: text.optional(), port: portOrName }).optional(),
  tcpSocket: z.object({ port: portOrName }).optional(),
  initialDelaySeconds: z.number().optional(),
  periodSeconds: z.number().optional(),
});

const container = z.object({
  name: text,
  image: text.optional(),
  command: z.array(text).optional(),
  args: z.array(text).optional(),
  workingDir: text.optional(),
  env: z.array(z.object({ name: text, value: text.optional() })).optional(),
  ports: z.array(z.object({ name: text.optional(), containerPort: portNumber, protocol: text.optional() })).optional(),
  readinessProbe: probe.optional(),
});

const podSpec = z.object({
  serviceAccountName: text.optional(),
  containers: z.array(container),
  terminationGracePeriodSeconds: z.number().optional(),
  nodeSelector: z.record(text, text).optional(),
});

const podTemplate = z.object({ metadata: templateMeta.optional(), spec: podSpec });
const jobSpec = z.object({ template: podTemplate });
const selector = z.object({ matchLabels: z.record(text, text).optional() });

export const namespace = z.object({
  apiVersion: z.literal(apiVersions.core),
  kind: z.literal('Namespace'),
  metadata: objectMeta,
});

export const serviceAccount = z.object({
  apiVersion: z.literal(apiVersions.core),
  kind: z.literal('ServiceAccount'),
  metadata: objectMeta,
});

export const service = z.object({
  apiVersion: z.literal(apiVersions.core),
  kind: z.literal('Service'),
  metadata: objectMeta,
  spec: z.object({
    type: text.optional(),
    clusterIP: text.optional(),
    clusterIPs: z.array(text).optional(),
    ipFamilies: z.array(text).optional(),
    publishNotReadyAddresses: z.boolean().optional(),
    selector: z.record(text, text).optional(),
    trafficDistribution: text.optional(),
    ports: z
      .array(
        z.object({
          name: text.optional(),
          port: portNumber,
          targetPort: portOrName.optional(),
          protocol: text.optional(),
          appProtocol: text.optional(),
        }),
      )
      .optional(),
  }),
});

export const pod = z.object({
  apiVersion: z.literal(apiVersions.core),
  kind: z.literal('Pod'),
  metadata: objectMeta,
  spec: podSpec,
  status: z
    .object({
      podIP: text.optional(),
      podIPs: z.array(z.object({ ip: text })).optional(),
      phase: text.optional(),
      conditions: z.array(z.object({ type: text, status: text })).optional(),
    })
    .optional(),
});

const replicated = z.object({ replicas: z.int().min(0).optional(), selector, template: podTemplate });

export const deployment = z.object({
  apiVersion: z.literal(apiVersions.apps),
  kind: z.literal('Deployment'),
  metadata: objectMeta,
  spec: replicated,
});

export const statefulSet = z.object({
  apiVersion: z.literal(apiVersions.apps),
  kind: z.literal('StatefulSet'),
  metadata: objectMeta,
  spec: replicated.extend({ serviceName: text.optional() }),
});

export const daemonSet = z.object({
  apiVersion: z.literal(apiVersions.apps),
  kind: z.literal('DaemonSet'),
  metadata: objectMeta,
  spec: replicated.omit({ replicas: true }),
});

export const job = z.object({
  apiVersion: z.literal(apiVersions.batch),
  kind: z.literal('Job'),
  metadata: objectMeta,
  spec: jobSpec,
});

export const cronJob = z.object({
  apiVersion: z.literal(apiVersions.batch),
  kind: z.literal('CronJob'),
  metadata: objectMeta,
  spec: z.object({ jobTemplate: z.object({ spec: jobSpec }) }),
});

export const endpointSlice = z.object({
  apiVersion: z.literal(apiVersions.discovery),
  kind: z.literal('EndpointSlice'),
  metadata: objectMeta,
  addressType: z.enum(['IPv4', 'IPv6', 'FQDN']),
  endpoints: z
    .array(
      z.object({
        addresses: z.array(text).min(1),
        conditions: z
          .object({
            ready: z.boolean().nullable().optional(),
            serving: z.boolean().nullable().optional(),
            terminating: z.boolean().nullable().optional(),
          })
          .optional(),
        zone: text.nullable().optional(),
        targetRef: z.object({ kind: text.optional(), name: text.optional(), namespace: text.optional() }).optional(),
      }),
    )
    .nullable(),
  ports: z
    .array(z.object({ name: text.optional(), port: portNumber.optional(), protocol: text.optional() }))
    .nullable()
    .optional(),
});

export type ServiceObject = z.infer<typeof service>;
export type PodObject = z.infer<typeof pod>;
export type DeploymentObject = z.infer<typeof deployment>;
export type EndpointSliceObject = z.infer<typeof endpointSlice>;
export type PodTemplate = z.infer<typeof podTemplate>;
export type Container = z.infer<typeof container>;
