import { describe, expect, test } from '@jest/globals';
import { App } from 'cdk8s';
import { PulumiApp } from 'meshwright/pulumi';
import { parseAllDocuments } from 'yaml';
import { shop } from '../../examples/shop/main.ts';
import { runInProcess } from './in-process.ts';

interface KubernetesObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly annotations?: Record<string, string> };
}

const waitFor = 'pulumi.com/waitFor';
const byName = (a: KubernetesObject, b: KubernetesObject) =>
  `${a.kind} ${a.metadata.name}` < `${b.kind} ${b.metadata.name}` ? -1 : 1;

describe('the shop', () => {
  test('is the same for Pulumi as for cdk8s, but for what Pulumi waits for', async () => {
    const app = App.of(shop);
    const written = parseAllDocuments(app.synthYaml()).map((document) => document.toJS() as KubernetesObject);
    const { objects } = await runInProcess(() => new PulumiApp('east', app));
    const registered = objects.map(({ inputs }) => inputs as unknown as KubernetesObject);
    for (const { metadata } of registered) delete metadata.annotations?.[waitFor];
    expect(registered.toSorted(byName)).toEqual(written.toSorted(byName));
  });
});
