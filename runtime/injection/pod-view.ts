import * as z from 'zod';

/** A pod, or the template of one, as JSON has it: what is not read here is kept as it is. */
export interface RawPod {
  readonly metadata?: unknown;
  readonly spec?: unknown;
  readonly [field: string]: unknown;
}

const text = z.string();
const port = z.int().min(1).max(65_535);
const portOrName = z.union([port, text]);
const strings = maybe(z.record(text, text));

/** A field that is absent or, as some programs write it, null. */
function maybe<T extends z.ZodType>(schema: T) {
  return schema.nullish().transform((value) => value ?? undefined);
}

const httpGet = z.object({
  path: maybe(text),
  port: portOrName,
  host: maybe(text),
  scheme: maybe(z.enum(['HTTP', 'HTTPS'])),
  httpHeaders: maybe(z.array(z.object({ name: text, value: text }))),
});

const probe = z.object({
  httpGet: maybe(httpGet),
  tcpSocket: maybe(z.object({ port: portOrName, host: maybe(text) })),
  grpc: maybe(z.object({ port, service: maybe(text) })),
  timeoutSeconds: maybe(z.int()),
});

const hook = maybe(z.object({ httpGet: maybe(httpGet) }));

const container = z.object({
  name: text,
  image: maybe(text),
  env: maybe(z.array(z.object({ name: text, value: maybe(text) }))),
  ports: maybe(z.array(z.object({ name: maybe(text), containerPort: port, protocol: maybe(text) }))),
  resources: maybe(z.object({ limits: maybe(z.record(text, z.union([text, z.number()]))) })),
  securityContext: maybe(z.object({ runAsUser: maybe(z.int()) })),
  livenessProbe: maybe(probe),
  readinessProbe: maybe(probe),
  startupProbe: maybe(probe),
  lifecycle: maybe(z.object({ postStart: hook, preStop: hook })),
});

const ownerReference = z.object({
  apiVersion: maybe(text),
  kind: text,
  name: text,
  uid: maybe(text),
  controller: maybe(z.boolean()),
});

const metadata = z.object({
  name: maybe(text),
  generateName: maybe(text),
  namespace: maybe(text),
  labels: strings,
  annotations: strings,
  ownerReferences: maybe(z.array(ownerReference)),
});

/** What injection reads of a pod. */
export const podView = z.object({
  metadata: z.preprocess((value) => value ?? {}, metadata),
  spec: z.object({
    containers: z.array(container),
    initContainers: maybe(z.array(container)),
    volumes: maybe(z.array(z.object({ name: text }))),
    serviceAccountName: maybe(text),
    serviceAccount: maybe(text),
    hostNetwork: maybe(z.boolean()),
    nodeSelector: strings,
    os: maybe(z.object({ name: text })),
    securityContext: maybe(
      z.object({ runAsUser: maybe(z.int()), sysctls: maybe(z.array(z.object({ name: text, value: text }))) }),
    ),
  }),
});

export type PodView = z.infer<typeof podView>;
export type ContainerView = z.infer<typeof container>;
export type ProbeView = z.infer<typeof probe>;
export type HttpGetView = z.infer<typeof httpGet>;
