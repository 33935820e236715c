import { describe, expect, test } from '@jest/globals';
import { type IPolicyTarget, type Mesh, MtlsPolicy, Port, Service, validate } from 'meshwright';
import { simulate } from 'meshwright/testing';
import { parseObject } from '../../runtime/resources/index.ts';
import { emptyMesh, objectsOf, smallMesh, workload } from './given.ts';

const ports = { web: Port.http(80), db: Port.tcp(6379) };

function shopWith(define: (mesh: Mesh, cart: Service<typeof ports>) => void) {
  const mesh = emptyMesh();
  const cart = new Service(mesh, 'cart', { ports, workload });
  const store = new Service(mesh, 'store', { ports, workload });
  define(mesh, cart);
  return { mesh, cart, store };
}

describe('an mTLS policy', () => {
  test.each<[string, object, (cart: Service<typeof ports>) => IPolicyTarget | undefined]>([
    ['its namespace', { kind: 'Namespace', name: 'shop' }, () => undefined],
    ['a service', { kind: 'Service', name: 'cart' }, (cart) => cart],
    ['a port', { kind: 'Service', name: 'cart', sectionName: 'web' }, (cart) => cart.port('web')],
  ])('becomes an object that the controller reads, for %s', (_, ref, target) => {
    const { mesh } = shopWith((mesh, cart) => {
      new MtlsPolicy(mesh, 'open', { target: target(cart), mode: 'permissive' });
    });
    const { open } = objectsOf(mesh, 'MtlsPolicy');
    expect(validate(mesh)).toEqual([]);
    expect(parseObject(open, 'test').findings).toBeUndefined();
    expect(open.spec).toEqual({ targetRefs: [{ group: '', ...ref }], mode: 'Permissive' });
  });

  test('lets in who has no identity, where the most specific one says so', () => {
    const { mesh, cart, store } = shopWith((mesh, cart) => {
      new MtlsPolicy(mesh, 'all', { mode: 'permissive' });
      new MtlsPolicy(mesh, 'closed', { target: cart, mode: 'strict' });
      new MtlsPolicy(mesh, 'web', { target: cart.port('web'), mode: 'permissive' });
    });
    const lets = (to: IPolicyTarget & Parameters<typeof simulate>[1]['to']) => simulate(mesh, { to }).access.allowed;
    expect([lets(store.port('web')), lets(cart.port('web')), lets(cart.port('db'))]).toEqual([true, true, false]);
  });

  test('that another one for the same target contradicts, or repeats, is refused', () => {
    const { mesh } = shopWith((mesh, cart) => {
      for (const [id, target] of [['all'], ['web', cart.port('web')], ['whole', cart]] as const) {
        new MtlsPolicy(mesh, id, { target, mode: 'permissive' });
        new MtlsPolicy(mesh, `${id}-again`, { target, mode: 'strict' });
      }
    });
    expect(validate(mesh).map(({ id, construct, message }) => [id, construct, message])).toEqual([
      ['MW1342', 'shop/all-again', 'shop/all already says whether namespace shop takes plain text'],
      ['MW1342', 'shop/web-again', 'shop/web already says whether service shop/cart at port web takes plain text'],
      ['MW1342', 'shop/whole-again', 'shop/whole already says whether service shop/cart takes plain text'],
    ]);
  });

  test('of another namespace than its service is refused', () => {
    const { reviews } = smallMesh();
    const mesh = emptyMesh('other');
    new MtlsPolicy(mesh, 'open', { target: reviews, mode: 'permissive' });
    expect(validate(mesh).map(({ id }) => id)).toEqual(['MW1334']);
  });
});
