import { describe, expect, it } from '@jest/globals';
import { App } from 'cdk8s';
import { watchedKinds } from '../../runtime/controller/kubernetes/watched-kinds.ts';
import type { RawObject } from '../../runtime/kubernetes/index.ts';
import { ControlPlane, type ControlPlaneProps } from '../../stacks/control-plane/control-plane.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface Container {
  readonly image: string;
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly [field: string]: unknown;
}

const system = 'meshwright-system';

function objectsOf(props?: ControlPlaneProps): RawObject[] {
  return new ControlPlane(new App(), 'control-plane', props).toJson() as RawObject[];
}

const objects = objectsOf();
const the = <T>(kind: string, all = objects) => {
  const found = all.filter((object) => object.kind === kind);
  if (found.length !== 1) throw new Error(`${found.length} objects are a ${kind}`);
  return found[0] as RawObject & T;
};
const templateOf = (all: readonly RawObject[] = objects) => {
  const { spec } = the<{
    spec: {
      replicas: number;
      template: {
        metadata: { labels: Record<string, string> };
        spec: { containers: [Container]; [field: string]: unknown };
      };
    };
  }>('Deployment', [...all]);
  return { ...spec.template, container: spec.template.spec.containers[0], replicas: spec.replicas };
};
const rulesOf = (kind: 'Role' | 'ClusterRole') => the<{ rules: Rule[] }>(kind).rules;

describe('the control plane', () => {
  it('is applied in order: definitions, the namespace, what is in it, and last what asks it', () => {
    const kinds = objects.map(({ kind }) => kind);
    expect(kinds.slice(0, kinds.lastIndexOf('CustomResourceDefinition') + 1)).toEqual(
      kinds.filter((kind) => kind === 'CustomResourceDefinition'),
    );
    const first = objects.findIndex(({ metadata }) => metadata.namespace === system);
    expect(kinds.indexOf('Namespace')).toBeLessThan(first);
    expect(kinds.at(-1)).toBe('MutatingWebhookConfiguration');
  });

  it('is in one namespace, and says of all that it is part of it', () => {
    const namespaces = new Set(objects.map(({ metadata }) => metadata.namespace));
    expect([...namespaces]).toEqual([undefined, system]);
    for (const { metadata } of objects) {
      expect(metadata.labels).toMatchObject({ 'app.kubernetes.io/part-of': 'meshwright' });
    }
  });

  it('can leave the definitions to somebody else', () => {
    const without = objectsOf({ crds: false });
    expect(without).toEqual(objects.filter(({ kind }) => kind !== 'CustomResourceDefinition'));
    expect(without.length).toBeLessThan(objects.length);
  });

  it('is as its properties have it', () => {
    const { container, replicas, spec } = templateOf(
      objectsOf({
        image: 'registry.example/controller:1',
        sidecarImage: 'registry.example/sidecar:1',
        imagePullPolicy: 'Always',
        replicas: 3,
        resources: { requests: { cpu: '1' }, limits: { memory: '2Gi' } },
        logLevel: 'debug',
        nodeSelector: { pool: 'system' },
        tolerations: [{ key: 'system', operator: 'Exists' }],
      }),
    );
    expect({ replicas, ...spec }).toMatchObject({
      replicas: 3,
      nodeSelector: { pool: 'system' },
      tolerations: [{ key: 'system', operator: 'Exists' }],
    });
    expect(container).toMatchObject({
      image: 'registry.example/controller:1',
      imagePullPolicy: 'Always',
      resources: { requests: { cpu: '1' }, limits: { memory: '2Gi' } },
    });
    const values = Object.fromEntries(container.env.map(({ name, value }) => [name, value]));
    expect(values).toMatchObject({
      MESHWRIGHT_SIDECAR_IMAGE: 'registry.example/sidecar:1',
      MESHWRIGHT_LOG_LEVEL: 'debug',
    });
  });

  it('takes its own image for sidecars where nobody says another', () => {
    const { container } = templateOf(objectsOf({ image: 'registry.example/meshwright:1' }));
    expect(container.env).toContainEqual({ name: 'MESHWRIGHT_SIDECAR_IMAGE', value: 'registry.example/meshwright:1' });
  });
});

describe('its rights', () => {
  const all = [...rulesOf('ClusterRole'), ...rulesOf('Role')];

  it('are to watch what the controller reads, no more and no less', () => {
    const watched = rulesOf('ClusterRole').filter(
      ({ verbs, resourceNames }) => verbs.includes('watch') && !resourceNames,
    );
    for (const { verbs } of watched) expect(verbs).toEqual(['get', 'list', 'watch']);
    const allowed = watched.flatMap(({ apiGroups: [group], resources }) =>
      resources.map((resource) => `${resource}.${group}`),
    );
    const read = watchedKinds.map(({ kind, versions: [version] }) => {
      const plural = `${kind.toLowerCase()}${/s$|sh$/i.test(kind) ? 'es' : 's'}`.replace(/cys$/, 'cies');
      return `${plural}.${version.includes('/') ? version.split('/')[0] : ''}`;
    });
    expect(allowed.sort()).toEqual(read.sort());
  });

  it('name each thing, and never the rights of others', () => {
    for (const { apiGroups, resources, verbs } of all) {
      expect([...apiGroups, ...resources, ...verbs].filter((word) => word.includes('*'))).toEqual([]);
      for (const verb of ['escalate', 'bind', 'impersonate', 'delete', 'deletecollection']) {
        expect(verbs).not.toContain(verb);
      }
    }
  });

  it('reach one Secret, in its own namespace', () => {
    expect(rulesOf('ClusterRole').flatMap(({ resources }) => resources)).not.toContain('secrets');
    const readable = rulesOf('Role').filter(
      ({ resources, verbs }) => resources.includes('secrets') && !(verbs.length === 1 && verbs[0] === 'create'),
    );
    expect(readable.map(({ resourceNames }) => resourceNames)).toEqual([['meshwright-ca']]);
  });

  it('change nothing in the cluster that has not a name stated here, but for conditions, events and token reviews', () => {
    const changes = rulesOf('ClusterRole').filter(
      ({ verbs, resourceNames }) => !resourceNames && verbs.some((verb) => !['get', 'list', 'watch'].includes(verb)),
    );
    for (const { resources } of changes) {
      for (const resource of resources) expect(resource).toMatch(/\/status$|^events$|^tokenreviews$/);
    }
  });
});

describe('its pods', () => {
  const { metadata, spec, container } = templateOf();

  it('fit the strictest standard for pods, which their namespace enforces', () => {
    expect(the('Namespace').metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' });
    expect(spec).toMatchObject({
      securityContext: { runAsNonRoot: true, runAsUser: 1337, seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect(container).toMatchObject({
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
      resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } },
    });
    for (const field of ['hostNetwork', 'hostPID', 'hostIPC', 'volumes']) expect(spec).not.toHaveProperty(field);
  });

  it('are two, rather apart, and replaced one by one, the new one first', () => {
    expect(the('Deployment')).toMatchObject({
      spec: { replicas: 2, strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } },
    });
    expect(spec).toMatchObject({
      affinity: {
        podAntiAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { podAffinityTerm: { topologyKey: 'kubernetes.io/hostname' } },
            { podAffinityTerm: { topologyKey: 'topology.kubernetes.io/zone' } },
          ],
        },
      },
    });
  });

  it('are what Service, budget and network policy select', () => {
    const chosen = { 'app.kubernetes.io/name': 'meshwright-controller' };
    expect(metadata.labels).toMatchObject(chosen);
    expect(the('Service')).toMatchObject({ spec: { selector: chosen } });
    expect(the('PodDisruptionBudget')).toMatchObject({ spec: { selector: { matchLabels: chosen } } });
    expect(the('NetworkPolicy')).toMatchObject({ spec: { podSelector: { matchLabels: chosen } } });
  });

  it('are reached on the ports they name', () => {
    const { spec: service } = the<{ spec: { ports: { port: number; targetPort: string }[] } }>('Service');
    const named = new Map(container.ports.map(({ name, containerPort }) => [name, containerPort]));
    expect(service.ports.map(({ port, targetPort }) => [port, named.get(targetPort)])).toEqual([
      [15010, 15010],
      [443, 15017],
    ]);
    const { spec: policy } = the<{ spec: { ingress: { ports: { port: number }[] }[] } }>('NetworkPolicy');
    expect(policy.ingress.flatMap(({ ports }) => ports.map(({ port }) => port))).toEqual([15010, 15017]);
  });

  it('are asked by the webhook, which does not say whom to trust', () => {
    const { webhooks } = the<{ webhooks: { clientConfig: object }[] }>('MutatingWebhookConfiguration');
    for (const { clientConfig } of webhooks) {
      expect(clientConfig).toEqual({
        service: {
          namespace: system,
          name: 'meshwright-controller',
          path: expect.stringMatching(/^\/inject\//),
          port: 443,
        },
      });
    }
  });
});
