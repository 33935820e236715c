import { describe, expect, test } from '@jest/globals';
import { App, Mesh, type StrangerProps, validate } from 'meshwright';
import { parseObject } from '../../runtime/resources/index.ts';
import { objectsOf } from './given.ts';

const meshWith = (strangers?: StrangerProps) => new Mesh(new App(), 'shop', { strangers });

describe('what a mesh says of strangers', () => {
  test('becomes a field of its object that the controller reads', () => {
    const mesh = meshWith({ trustedProxies: ['10.2.0.0/16', 'fd00::/8', '10.1.2.3/32'], underscores: 'keep' });
    const { default: object } = objectsOf(mesh, 'Mesh');
    expect(validate(mesh)).toEqual([]);
    expect(parseObject(object, 'test').findings).toBeUndefined();
    expect(object.spec.strangers).toEqual({
      trustedProxies: ['10.2.0.0/16', 'fd00::/8', '10.1.2.3/32'],
      underscores: 'Keep',
    });
  });

  test('leaves no trace where nothing is said', () => {
    for (const strangers of [undefined, {}, { trustedProxies: [] }]) {
      expect(objectsOf(meshWith(strangers), 'Mesh').default.spec).not.toHaveProperty('strangers');
    }
  });

  test.each(['10.2.0.0', '10.2.0.0/33', '300.1.1.1/8', 'fd00::/129', 'ingress', '', '10.0.0.0/8,11.0.0.0/8'])(
    'names networks, and "%s" is none, whoever writes it',
    (network) => {
      const mesh = meshWith({ trustedProxies: [network] });
      expect(validate(mesh).map(({ id, message }) => `${id} ${message}`)).toEqual([
        `MW1323 trusted proxy '${network}' is no network`,
      ]);
      expect(parseObject(objectsOf(mesh, 'Mesh').default, 'test').findings).toHaveLength(1);
    },
  );

  test('names 64 networks at most', () => {
    const mesh = meshWith({ trustedProxies: Array.from({ length: 65 }, (_, index) => `10.0.${index}.0/24`) });
    expect(validate(mesh).map(({ id }) => id)).toEqual(['MW1323']);
    expect(parseObject(objectsOf(mesh, 'Mesh').default, 'test').findings).toHaveLength(1);
  });
});
