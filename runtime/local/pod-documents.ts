import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import type { Bootstrap } from '../proxy/bootstrap.ts';
import { apiVersions, type Container, labels, sidecarProxy } from '../resources/index.ts';
import type { PodPlan } from './plan.ts';
import { namedPort } from './plan.ts';
import type { PodPorts } from './pod-ports.ts';
import type { ReadinessCheck } from './readiness.ts';

const host = '127.0.0.1';

/** What the sidecar of a pod starts with. */
export function bootstrapOf(
  plan: PodPlan,
  pod: string,
  ports: PodPorts,
  controller: Bootstrap['controller'],
  folder: string,
): Bootstrap {
  const at = (port: number) => `${host}:${port}`;
  return {
    id: `${pod}.${plan.namespace}`,
    namespace: plan.namespace,
    serviceAccount: plan.serviceAccount,
    workload: plan.workload,
    trustDomain: plan.trustDomain,
    controller,
    tokenFile: join(folder, 'token'),
    inbound: ports.inbound.map(({ port, listen, app }) => ({ port, listen: at(listen), app: at(app) })),
    outbound: {
      ...(plan.gateway ? {} : { proxy: at(ports.proxy) }),
      services: ports.outbound.map(({ service, port, listen }) => ({ service, port, listen: at(listen) })),
    },
    gateway: ports.gateway.map(({ port, listen }) => ({ port, listen: at(listen) })),
    admin: at(ports.admin),
    stateDir: join(folder, 'state'),
    accessLog: '-',
  };
}

/** The environment of a container: its own, and how it finds its port and the services it calls. */
export function environmentOf(
  plan: PodPlan,
  container: Container,
  ports: PodPorts,
  inherited: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  const proxy = `http://${host}:${ports.proxy}`;
  return {
    ...inherited,
    // The Node that runs us, whatever the machine has.
    PATH: [dirname(process.execPath), inherited.PATH].filter(Boolean).join(':'),
    HOST: host,
    ...Object.fromEntries((container.env ?? []).map(({ name, value }) => [name, value ?? ''])),
    ...portVariables(container, ports),
    ...(plan.inMesh && {
      // curl reads the name in lower case only.
      HTTP_PROXY: proxy,
      http_proxy: proxy,
      NO_PROXY: `${host},localhost`,
      no_proxy: `${host},localhost`,
      NODE_USE_ENV_PROXY: '1',
      ...serviceVariables(plan, ports),
    }),
  };
}

/** `PORT` is the container's first port, `PORT_<NAME>` each that has a name. */
function portVariables({ ports: declared = [] }: Container, ports: PodPorts): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const { name, containerPort } of declared) {
    const local = ports.inbound.find(({ port }) => port === containerPort);
    if (!local) continue;
    variables.PORT ??= String(local.app);
    if (name) variables[`PORT_${variableName(name)}`] = String(local.app);
  }
  return variables;
}

/** As Kubernetes gives them: `CART_STORE_SERVICE_HOST`, `CART_STORE_SERVICE_PORT`, `CART_STORE_SERVICE_PORT_<NAME>`. */
function serviceVariables({ namespace }: PodPlan, { outbound }: PodPorts): Record<string, string> {
  const variables: Record<string, string> = {};
  const isOwn = ({ service }: { service: string }) => service.startsWith(`${namespace}/`);
  // A service of its own namespace comes last, and so wins over one of the same name elsewhere.
  const ordered = outbound.toSorted((a, b) => Number(isOwn(a)) - Number(isOwn(b)));
  for (const [service, ports] of Map.groupBy(ordered, ({ service }) => service)) {
    const prefix = `${variableName(service.slice(service.indexOf('/') + 1))}_SERVICE`;
    variables[`${prefix}_HOST`] = host;
    variables[`${prefix}_PORT`] = String(ports[0].listen);
    for (const { name, listen } of ports) if (name) variables[`${prefix}_PORT_${variableName(name)}`] = String(listen);
  }
  return variables;
}

function variableName(name: string): string {
  return name.toUpperCase().replaceAll(/[-.]/g, '_');
}

/** The command line, with Kubernetes' `$(NAME)` replaced from the environment. */
export function commandOf({ command = [], args = [] }: Container, env: NodeJS.ProcessEnv): string[] {
  return [...command, ...args].map((part) => part.replace(/\$\((\w+)\)/g, (whole, name) => env[name] ?? whole));
}

/** How to see that a container is ready: as its probe says, else by a connection to its first port. */
export function readinessOf(plan: PodPlan, container: Container, ports: PodPorts): ReadinessCheck | undefined {
  const { httpGet, tcpSocket } = container.readinessProbe ?? {};
  const wanted = (httpGet ?? tcpSocket)?.port ?? container.ports?.[0]?.containerPort;
  const number = typeof wanted === 'string' ? namedPort(plan.template, wanted) : wanted;
  const local = ports.inbound.find(({ port }) => port === number);
  return local && { port: local.app, ...(httpGet ? { path: httpGet.path ?? '/' } : {}) };
}

/** What a kubelet and the endpoint controller write about a pod: the Pod and its share of the EndpointSlices. */
export function podManifest(plan: PodPlan, pod: string, ports: PodPorts, ready: boolean): string {
  const { namespace, template } = plan;
  const documents = [
    {
      apiVersion: apiVersions.core,
      kind: 'Pod',
      metadata: {
        name: pod,
        namespace,
        ...template.metadata,
        labels: { ...template.metadata?.labels, ...(plan.inMesh ? { [labels.proxy]: sidecarProxy } : {}) },
        ownerReferences: [{ kind: 'Deployment', name: plan.deployment, controller: true }],
      },
      spec: template.spec,
      status: {
        podIP: host,
        phase: 'Running',
        conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      },
    },
    ...plan.selectedBy.map((service) => ({
      apiVersion: apiVersions.discovery,
      kind: 'EndpointSlice',
      metadata: { name: `${service.name}-${pod}`, namespace, labels: { [labels.serviceName]: service.name } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [host], conditions: { ready }, targetRef: { kind: 'Pod', name: pod, namespace } }],
      ports: service.ports.flatMap(({ name, containerPort }) => {
        const port = [...ports.inbound, ...ports.gateway].find(({ port }) => port === containerPort)?.listen;
        return port === undefined ? [] : [{ name, port, protocol: 'TCP' }];
      }),
    })),
  ];
  return documents.map((document) => stringify(document)).join('---\n');
}
