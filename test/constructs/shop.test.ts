import { describe, expect, test } from '@jest/globals';
import type { App } from 'cdk8s';
import { validate } from 'meshwright';
import { parseAllDocuments } from 'yaml';
import { shop } from '../../examples/shop/main.ts';
import { parseObject } from '../../runtime/resources/index.ts';
import { translate } from '../../runtime/translate/index.ts';

const yaml = (shop.node.root as App).synthYaml();
const parsed = parseAllDocuments(yaml).map((document) => parseObject(document.toJS(), 'shop'));

describe('the shop', () => {
  test('is without findings', () => {
    expect(validate(shop)).toEqual([]);
  });

  test('becomes these manifests', () => {
    expect(yaml).toMatchSnapshot();
  });

  test('becomes the same bytes each time', () => {
    expect((shop.node.root as App).synthYaml()).toBe(yaml);
  });

  test('consists of objects that fit their schemas', () => {
    expect(parsed.flatMap(({ findings = [] }) => findings)).toEqual([]);
  });

  test('is translated without findings', () => {
    expect(translate(parsed.flatMap(({ object }) => object ?? [])).findings).toEqual([]);
  });

  test('has no name with a hash', () => {
    const names = parsed.map(({ object }) => object?.metadata.name);
    expect(names.filter((name) => /-c8[0-9a-f]{6}/.test(name ?? ''))).toEqual([]);
  });
});
