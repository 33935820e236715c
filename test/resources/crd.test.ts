import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { customResourceDefinitions, version } from '../../runtime/resources/index.ts';

/** Every schema node below `node`, with its path. */
function* nodes(node: unknown, path = ''): Generator<[string, Record<string, unknown>]> {
  if (typeof node !== 'object' || node === null) return;
  if (!Array.isArray(node)) yield [path, node as Record<string, unknown>];
  for (const [key, value] of Object.entries(node)) yield* nodes(value, `${path}/${key}`);
}

describe('customResourceDefinitions', () => {
  const definitions = customResourceDefinitions();

  it('names each after its plural and group', () => {
    expect(definitions.map((definition) => definition.metadata.name)).toStrictEqual([
      'meshes.meshwright.dev',
      'accesspolicies.meshwright.dev',
      'loadbalancingpolicies.meshwright.dev',
      'ratelimitpolicies.meshwright.dev',
      'faultpolicies.meshwright.dev',
      'retrypolicies.meshwright.dev',
      'mtlspolicies.meshwright.dev',
      'circuitbreakerpolicies.meshwright.dev',
      'outlierdetectionpolicies.meshwright.dev',
      'timeoutpolicies.meshwright.dev',
    ]);
  });

  it('writes structural schemas: no references, constants, tuples or closed objects', () => {
    for (const [path, node] of nodes(definitions)) {
      for (const forbidden of ['$ref', '$schema', 'const', 'anyOf', 'definitions', 'patternProperties']) {
        expect([path, forbidden, forbidden in node]).toStrictEqual([path, forbidden, false]);
      }
      expect([path, node.additionalProperties]).not.toStrictEqual([path, false]);
    }
  });

  it('gives each a status subresource, conditions keyed by type and an Accepted column', () => {
    for (const definition of definitions) {
      expect(definition.spec).toMatchObject({
        versions: [
          {
            subresources: { status: {} },
            schema: {
              openAPIV3Schema: {
                type: 'object',
                properties: {
                  status: { properties: { conditions: { 'x-kubernetes-list-map-keys': ['type'] } } },
                },
              },
            },
          },
        ],
      });
      expect(JSON.stringify(definition)).toContain('"name":"Accepted"');
    }
  });
});

it('is the version of package.json that images and control planes are told of', () => {
  expect(version).toBe((JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version);
});
