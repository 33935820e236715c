import { serve } from './common.ts';

export interface Product {
  readonly id: string;
  readonly title: string;
  readonly author: string;
  /** In cents. */
  readonly price: number;
}

const products: readonly Product[] = [
  { id: 'moby-dick', title: 'Moby-Dick', author: 'Herman Melville', price: 1450 },
  { id: 'middlemarch', title: 'Middlemarch', author: 'George Eliot', price: 1290 },
  { id: 'walden', title: 'Walden', author: 'Henry David Thoreau', price: 990 },
];

serve('catalog', 9080, ({ path }) => {
  if (path === '/products') return { body: products };
  const id = /^\/products\/([^/]+)$/.exec(path)?.[1];
  const product = products.find((candidate) => candidate.id === id);
  return product ? { body: product } : { status: 404, body: { error: `no product at ${path}` } };
});
