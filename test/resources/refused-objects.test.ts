import { describe, expect, it } from '@jest/globals';
import { customResourceDefinitions, parseManifest } from '../../runtime/resources/index.ts';
import { translate } from '../../runtime/translate/index.ts';
import { refusedObject, refusedObjects } from './refused-objects.ts';

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'cart', namespace: 'shop' },
  spec: { ports: [{ port: 80, appProtocol: 'http' }] },
};

describe('what the API server refuses, files cannot do either:', () => {
  it.each(refusedObjects.map((refused, index) => ({ ...refused, index })))('$kind $place $says', (refused) => {
    const object = refusedObject(refused, refused.index);
    const text = [service, object].map((document) => JSON.stringify(document)).join('\n---\n');
    const { objects, findings } = parseManifest(text, 'refused.yaml');
    const errors = [...findings, ...translate(objects).findings].filter(
      ({ severity, object: place }) => severity === 'error' && place?.startsWith(`${refused.kind} shop/`),
    );
    expect(errors).not.toEqual([]);
  });

  it('is every rule that can be broken by one object alone', () => {
    const rules = [...JSON.stringify(customResourceDefinitions()).matchAll(/"message":"((?:[^"\\]|\\.)*)"/g)];
    const said = new Set(refusedObjects.map(({ says }) => says));
    const untested = new Set(rules.map(([, message]) => message).filter((message) => !said.has(message)));
    // It compares with what was before.
    expect([...untested].map((message) => message.split(',')[0])).toEqual(['cannot be changed']);
  });
});
