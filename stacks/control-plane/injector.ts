import { injectEnabled, labels } from '../../runtime/resources/index.ts';

/** What asks the controller about new pods. Its caBundle is the controller's own to write, so it is not here. */
export function injectorConfiguration() {
  const inject = { matchLabels: { [labels.inject]: injectEnabled } };
  const notAgainst = { matchExpressions: [{ key: labels.inject, operator: 'NotIn', values: ['disabled'] }] };
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: 'meshwright-injector' },
    webhooks: [
      {
        name: 'inject.meshwright.dev',
        admissionReviewVersions: ['v1'],
        clientConfig: {
          service: { name: 'meshwright-controller', namespace: 'meshwright-system', path: '/inject', port: 443 },
        },
        rules: [
          { apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'], scope: 'Namespaced' },
        ],
        namespaceSelector: inject,
        objectSelector: notAgainst,
        sideEffects: 'None',
        failurePolicy: 'Fail',
        reinvocationPolicy: 'IfNeeded',
        timeoutSeconds: 10,
      },
    ],
  };
}
