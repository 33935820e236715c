import { beforeAll, describe, expect, test } from '@jest/globals';
import { Construct } from 'constructs';
import { App, Mesh, Port, Route, Service } from 'meshwright';
import { configure, PulumiApp } from 'meshwright/pulumi';
import { shop } from '../../examples/shop/main.ts';
import { runInProcess } from './in-process.ts';
import type { Monitor, Registration } from './monitor.ts';

const http = { http: Port.http(8080) };
const workload = { image: 'example/service:1' };

describe('the shop', () => {
  const deployed = runInProcess(() => new PulumiApp('east', shop));

  test('has these URNs', async () => {
    expect((await deployed).sorted.map(({ urn }) => urn)).toMatchSnapshot();
  });

  test('is shown as its author thinks of it', async () => {
    expect(outline(await deployed)).toMatchSnapshot();
  });
});

describe('renaming changes no URN and no object:', () => {
  const deployed = (program: () => unknown) => runInProcess(program).then(({ sorted }) => sorted);
  let before: readonly Registration[];

  beforeAll(async () => {
    before = await deployed(() => {
      const shop = new Mesh(new App(), 'shop', { trustDomain: 'shop.local' });
      const reviews = new Service(shop, 'reviews', { ports: http, workload, versions: { v1: {}, v2: {} } });
      const canary = [{ name: 'split', to: reviews.split({ v1: 90, v2: 10 }) }];
      new Route(reviews, 'canary', { parent: reviews, rules: canary });
      new PulumiApp('east', shop);
    });
  });

  test('a local variable', async () => {
    const after = await deployed(() => {
      const bookshop = new Mesh(new App(), 'shop', { trustDomain: 'shop.local' });
      const feedback = new Service(bookshop, 'reviews', { ports: http, workload, versions: { v1: {}, v2: {} } });
      const rules = [{ name: 'split', to: feedback.split({ v1: 90, v2: 10 }) }];
      new Route(feedback, 'canary', { parent: feedback, rules });
      new PulumiApp('east', bookshop);
    });
    expect(after.length).toBeGreaterThan(10);
    expect(after).toEqual(before);
  });

  test('a class of its own', async () => {
    class Feedback extends Service<typeof http, 'v1' | 'v2'> {}
    const after = await deployed(() => {
      const shop = new Mesh(new App(), 'shop', { trustDomain: 'shop.local' });
      const reviews = new Feedback(shop, 'reviews', { ports: http, workload, versions: { v1: {}, v2: {} } });
      const rules = [{ name: 'split', to: reviews.split({ v1: 90, v2: 10 }) }];
      new Route(reviews, 'canary', { parent: reviews, rules });
      new PulumiApp('east', shop);
    });
    expect(after).toEqual(before);
  });

  test('but another id does', async () => {
    const after = await deployed(() => {
      const shop = new Mesh(new App(), 'shop', { trustDomain: 'shop.local' });
      const reviews = new Service(shop, 'feedback', { ports: http, workload, versions: { v1: {}, v2: {} } });
      const rules = [{ name: 'split', to: reviews.split({ v1: 90, v2: 10 }) }];
      new Route(reviews, 'canary', { parent: reviews, rules });
      new PulumiApp('east', shop);
    });
    const urns = new Set(before.map(({ urn }) => urn));
    expect(after.some(({ urn }) => !urns.has(urn))).toBe(true);
  });
});

describe('a construct that is moved', () => {
  function define(place: (mesh: Mesh) => Construct): Service {
    const mesh = new Mesh(new App(), 'shop', { trustDomain: 'shop.local' });
    const reviews = new Service(place(mesh), 'reviews', { ports: http, workload, versions: { v1: {}, v2: {} } });
    new Route(reviews, 'canary', { parent: reviews, rules: [{ to: reviews.version('v1') }] });
    return reviews;
  }

  test('keeps what it made, to the last object, where it says from where', async () => {
    const before = await runInProcess(
      () =>
        new PulumiApp(
          'east',
          define((mesh) => mesh),
        ),
    );

    const after = await runInProcess(() => {
      const reviews = define((mesh) => new Construct(mesh, 'feedback'));
      configure(reviews, { movedFrom: 'shop/reviews' });
      new PulumiApp('east', reviews);
    });

    const known = new Set(after.registrations.flatMap(({ urn, aliases }) => [urn, ...aliases]));
    expect(before.registrations.map(({ urn }) => urn).filter((urn) => !known.has(urn))).toEqual([]);
    expect(after.registrations.filter(({ aliases }) => aliases.length).length).toBeGreaterThan(8);
    expect(after.at('east/shop').aliases).toEqual([]);
  });

  test('is replaced where it does not', async () => {
    const before = await runInProcess(
      () =>
        new PulumiApp(
          'east',
          define((mesh) => mesh),
        ),
    );
    const after = await runInProcess(
      () =>
        new PulumiApp(
          'east',
          define((mesh) => new Construct(mesh, 'feedback')),
        ),
    );
    const known = new Set(after.registrations.map(({ urn }) => urn));
    expect(before.registrations.filter(({ urn }) => !known.has(urn)).map(({ name }) => name)).toContain(
      'east/shop/reviews/v1/Workload/Deployment',
    );
  });

  test('cannot come from where nothing is', async () => {
    const program = () => {
      const reviews = define((mesh) => new Construct(mesh, 'feedback'));
      configure(reviews, { movedFrom: 'store/reviews' });
      return new PulumiApp('east', reviews);
    };
    expect(program).toThrow('error MW1147 shop/feedback/reviews: it was moved from store/reviews, but');
  });
});

/** As `pulumi stack` shows it: types and names, children below their parents. */
function outline({ sorted }: Monitor): string {
  const lines = (parent: string, indent: string): string[] =>
    sorted
      .filter((registration) => registration.parent === parent)
      .flatMap(({ urn, type, name }) => [`${indent}${type} ${name}`, ...lines(urn, `${indent}  `)]);
  return `\n${lines('', '').join('\n')}\n`;
}
