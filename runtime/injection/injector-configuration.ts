import { controlPlane, injectDisabled, injectEnabled, labels } from '../resources/index.ts';
import { excludedNamespaces } from './refusals.ts';

/** Name of the MutatingWebhookConfiguration. */
export const injectorName = 'meshwright-injector';

/** Where the API server sends pods that are to get a proxy because of their namespace's label, and because of their own. */
export const injectionPaths = { namespace: '/inject/namespace', pod: '/inject/pod' } as const;

const namespaceName = 'kubernetes.io/metadata.name';

/**
 * Has the API server send new pods to the injector, without `caBundle`: who knows the certificate authority writes that.
 *
 * Two webhooks, because the selectors of one must both match: pods of namespaces with the label, and pods with the
 * label elsewhere. A pod is sent to one of them at most. With `failurePolicy: Fail` no pod of the mesh starts without
 * its proxy; pods that have nothing to do with the mesh, and those of the namespaces that the cluster and the mesh
 * itself need, are never sent, so nothing waits for an injector that is down.
 */
export function injectorConfiguration() {
  const excluded = { key: namespaceName, operator: 'NotIn', values: [...excludedNamespaces] };
  const notDisabled = { key: labels.inject, operator: 'NotIn', values: [injectDisabled] };
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: injectorName, labels: { [labels.appPartOf]: 'meshwright' } },
    webhooks: [
      {
        ...common('namespace.inject.meshwright.dev', injectionPaths.namespace),
        namespaceSelector: {
          matchExpressions: [excluded, { key: labels.inject, operator: 'In', values: [injectEnabled] }],
        },
        objectSelector: { matchExpressions: [notDisabled] },
      },
      {
        ...common('pod.inject.meshwright.dev', injectionPaths.pod),
        namespaceSelector: {
          matchExpressions: [excluded, { key: labels.inject, operator: 'NotIn', values: [injectEnabled] }],
        },
        // Whatever else the label says is refused, so that a misspelt one is seen.
        objectSelector: { matchExpressions: [{ key: labels.inject, operator: 'Exists' }, notDisabled] },
      },
    ],
  };
}

function common(name: string, path: string) {
  return {
    name,
    admissionReviewVersions: ['v1'],
    clientConfig: { service: { ...controlPlane, path, port: 443 } },
    failurePolicy: 'Fail',
    matchPolicy: 'Equivalent',
    // Another webhook may add containers after us: they have probes, too.
    reinvocationPolicy: 'IfNeeded',
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'], scope: 'Namespaced' }],
    // Events are not written in a dry run.
    sideEffects: 'NoneOnDryRun',
    timeoutSeconds: 5,
  };
}
