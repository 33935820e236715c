import { describe, expect, it, test } from '@jest/globals';
import { defaultSettings, injectionPaths, injectorConfiguration, injectPod } from '../../runtime/injection/index.ts';

type Labels = Readonly<Record<string, string>>;
interface Expression {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** As Kubernetes selects by labels. */
function matches({ key, operator, values = [] }: Expression, labels: Labels): boolean {
  switch (operator) {
    case 'Exists':
      return key in labels;
    case 'In':
      return key in labels && values.includes(labels[key]);
    case 'NotIn':
      return !(key in labels && values.includes(labels[key]));
    default:
      throw new Error(operator);
  }
}

/** Paths of the webhooks that the API server sends a pod to. */
function sentTo(namespace: string, namespaceLabels: Labels, labels: Labels): string[] {
  const all = { 'kubernetes.io/metadata.name': namespace, ...namespaceLabels };
  return injectorConfiguration()
    .webhooks.filter(
      ({ namespaceSelector, objectSelector }) =>
        namespaceSelector.matchExpressions.every((expression) => matches(expression, all)) &&
        objectSelector.matchExpressions.every((expression) => matches(expression, labels)),
    )
    .map(({ clientConfig }) => clientConfig.service.path);
}

const inject = (value: string) => ({ 'meshwright.dev/inject': value });
const { namespace: byNamespace, pod: byPod } = injectionPaths;

describe('the API server', () => {
  it.each<[string, Labels, Labels, string[]]>([
    ['a pod without labels', {}, {}, []],
    ['a pod of a namespace with the label', inject('enabled'), {}, [byNamespace]],
    ['a pod with the label', {}, inject('enabled'), [byPod]],
    ['a pod with the label, of a namespace with it', inject('enabled'), inject('enabled'), [byNamespace]],
    ['a pod with the label, of a namespace that refuses', inject('disabled'), inject('enabled'), [byPod]],
    ['a pod that refuses, of a namespace with the label', inject('enabled'), inject('disabled'), []],
    ['a pod that refuses', {}, inject('disabled'), []],
    ['a pod with a misspelt label', {}, inject('true'), [byPod]],
    ['a pod with a misspelt label, of a namespace with the label', inject('enabled'), inject('true'), [byNamespace]],
  ])('sends %s where it belongs, once at most', (_name, namespaceLabels, labels, expected) => {
    expect(sentTo('shop', namespaceLabels, labels)).toEqual(expected);
  });

  it.each(['kube-system', 'kube-public', 'kube-node-lease', 'meshwright-system'])(
    'sends nothing of %s, so that it starts whatever becomes of the injector',
    (namespace) => {
      expect(sentTo(namespace, inject('enabled'), inject('enabled'))).toEqual([]);
    },
  );

  it('leaves out no pod that would get a proxy', () => {
    const values = [undefined, 'enabled', 'disabled', 'true'];
    for (const namespaceLabels of values.map((value) => (value ? inject(value) : {}))) {
      for (const labels of values.map((value) => (value ? inject(value) : {}))) {
        const pod = { metadata: { labels }, spec: { containers: [{ name: 'app' }] } };
        const request = { settings: defaultSettings, namespace: 'shop', namespaceLabels };
        const injected = injectPod(pod, request).kind === 'injected';
        if (injected) expect(sentTo('shop', namespaceLabels, labels)).toHaveLength(1);
      }
    }
  });
});

test('a pod of the mesh does not start without its proxy, a dry run has no effect, and who signs is not said', () => {
  for (const webhook of injectorConfiguration().webhooks) {
    expect(webhook).toMatchObject({ failurePolicy: 'Fail', sideEffects: 'NoneOnDryRun', timeoutSeconds: 5 });
    expect(webhook.clientConfig).not.toHaveProperty('caBundle');
  }
});
