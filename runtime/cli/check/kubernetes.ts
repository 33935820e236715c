import * as z from 'zod';
import { controlPlane, groups } from '../../resources/index.ts';
import { type Category, type Check, error, some, warning } from './check.ts';
import type { Action } from './cluster-view.ts';

/*
 * What a cluster must be before anything of the mesh is in it.
 */

/** Native sidecars are on by default since then. */
const oldestKubernetes = [1, 29] as const;
/** Services as parents of routes, and GRPCRoute, are standard since then. */
const oldestGatewayApi = [1, 1] as const;

const node = z.object({
  metadata: z.object({ name: z.string() }),
  status: z.object({ nodeInfo: z.object({ operatingSystem: z.string() }) }),
});

const answers: Check = {
  id: 'kubernetes-answers',
  description: 'the Kubernetes API answers',
  fatal: true,
  settles: true,
  async run(cluster) {
    try {
      await cluster.version();
    } catch (reason) {
      return error(
        reason instanceof Error ? reason.message : String(reason),
        'say which cluster is meant with --kubeconfig and --context, and see that it runs',
      );
    }
  },
};

const recent: Check = {
  id: 'kubernetes-version',
  description: `Kubernetes is ${oldestKubernetes.join('.')} or newer`,
  async run(cluster) {
    const version = await cluster.version();
    if (isAtLeast(version, oldestKubernetes)) return;
    return error(
      `it is ${version}`,
      'upgrade it: sidecars are init containers that go on, which older ones cannot run',
    );
  },
};

const linux: Check = {
  id: 'nodes-linux',
  description: 'all nodes run Linux',
  async run(cluster) {
    const nodes = (await cluster.list({ apiVersion: 'v1', kind: 'Node' })).map((object) => node.parse(object));
    const others = nodes.filter(({ status }) => status.nodeInfo.operatingSystem !== 'linux');
    if (others.length === 0) return;
    const names = others.map(({ metadata, status }) => `${metadata.name} (${status.nodeInfo.operatingSystem})`);
    const hint = 'keep the pods of the mesh off them with nodeSelector: { kubernetes.io/os: linux }';
    if (others.length === nodes.length) return error(`none does: ${some(names)}`, hint);
    return warning(`pods on these cannot be in a mesh: ${some(names)}`, hint);
  },
};

/** Whether the cluster can be asked, and can run sidecars. */
export const kubernetes: Category = { name: 'kubernetes', needs: [], checks: [answers, recent] };

/** Where pods are to run. */
export const nodes: Category = { name: 'nodes', needs: ['kubernetes'], checks: [linux] };

const definition = z.object({
  metadata: z.object({ annotations: z.record(z.string(), z.string()).optional() }),
  spec: z.object({ versions: z.array(z.object({ name: z.string(), served: z.boolean() })) }),
});
const bundleVersion = 'gateway.networking.k8s.io/bundle-version';
const gatewayKinds = ['gatewayclasses', 'gateways', 'httproutes', 'grpcroutes'];
const installGatewayApi =
  'kubectl apply --server-side -f https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.6.3/standard-install.yaml';

/** The kinds that routes and gateways are written in. */
export const gatewayApi: Category = {
  name: 'gateway-api',
  needs: ['kubernetes'],
  checks: [
    {
      id: 'gateway-api-installed',
      description: 'the kinds of the Gateway API are there',
      fatal: true,
      settles: true,
      async run(cluster) {
        const missing: string[] = [];
        for (const plural of gatewayKinds) {
          const object = await cluster.read(definitionRef(`${plural}.${groups.gateway}`));
          const served =
            object && definition.parse(object).spec.versions.some(({ name, served }) => name === 'v1' && served);
          if (!served) missing.push(`${plural}.${groups.gateway}`);
        }
        if (missing.length === 0) return;
        return error(`not in version v1: ${missing.join(', ')}`, installGatewayApi);
      },
    },
    {
      id: 'gateway-api-version',
      description: `the Gateway API is v${oldestGatewayApi.join('.')} or newer`,
      async run(cluster) {
        const object = await cluster.read(definitionRef(`httproutes.${groups.gateway}`));
        const version = object && definition.parse(object).metadata.annotations?.[bundleVersion];
        if (version === undefined) {
          return warning(`its definitions do not say (annotation ${bundleVersion})`, installGatewayApi);
        }
        if (isAtLeast(version, oldestGatewayApi)) return;
        return error(`it is ${version}`, installGatewayApi);
      },
    },
  ],
};

/** What `meshwright install` prints, kind by kind. */
const installed: readonly Omit<Action, 'verb'>[] = [
  { group: 'apiextensions.k8s.io', resource: 'customresourcedefinitions' },
  { group: '', resource: 'namespaces' },
  { group: 'rbac.authorization.k8s.io', resource: 'clusterroles' },
  { group: 'rbac.authorization.k8s.io', resource: 'clusterrolebindings' },
  { group: 'admissionregistration.k8s.io', resource: 'mutatingwebhookconfigurations' },
  ...[
    { group: '', resource: 'serviceaccounts' },
    { group: '', resource: 'services' },
    { group: 'apps', resource: 'deployments' },
    { group: 'rbac.authorization.k8s.io', resource: 'roles' },
    { group: 'rbac.authorization.k8s.io', resource: 'rolebindings' },
    { group: 'policy', resource: 'poddisruptionbudgets' },
    { group: 'networking.k8s.io', resource: 'networkpolicies' },
  ].map((resource) => ({ ...resource, namespace: controlPlane.namespace })),
];

/** Whether who asks may install. */
export const permissions: Category = {
  name: 'permissions',
  needs: ['kubernetes'],
  checks: installed.map(({ group, resource, namespace }) => ({
    id: 'permission-to-install',
    description: `you may apply ${resource}${namespace ? ` in ${namespace}` : ''}`,
    async run(cluster) {
      const missing: string[] = [];
      for (const verb of ['create', 'patch']) {
        if (!(await cluster.may({ verb, group, resource, namespace }))) missing.push(verb);
      }
      if (missing.length === 0) return;
      return error(`you may not ${missing.join(' and ')} them`, 'install as cluster-admin');
    },
  })),
};

export function definitionRef(name: string) {
  return { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', name };
}

/** Of `v1.36.3` and the like. */
function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [, ...found] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  const [foundMajor, foundMinor] = found.map(Number);
  return foundMajor > major || (foundMajor === major && foundMinor >= minor);
}
