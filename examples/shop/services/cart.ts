import { serve } from './common.ts';
import { StoreClient } from './store-client.ts';

export interface Cart {
  readonly user: string;
  readonly items: readonly string[];
}

const { CART_STORE_SERVICE_HOST = '127.0.0.1', CART_STORE_SERVICE_PORT = '6380' } = process.env;
const store = new StoreClient(CART_STORE_SERVICE_HOST, Number(CART_STORE_SERVICE_PORT));

/** One change of carts at a time: each reads what the last one wrote. */
let lastChange: Promise<unknown> = Promise.resolve();

async function items(user: string): Promise<string[]> {
  return JSON.parse((await store.get(user)) ?? '[]') as string[];
}

async function add(user: string, product: string): Promise<Cart> {
  const all = [...(await items(user)), product];
  await store.set(user, JSON.stringify(all));
  return { user, items: all };
}

serve('cart', 7070, async (request) => {
  const user = encodeURIComponent(request.header('x-user') ?? 'guest');
  if (request.path !== '/items') return { status: 404, body: { error: `nothing at ${request.path}` } };
  switch (request.method) {
    case 'GET':
      return { body: { user, items: await items(user) } satisfies Cart };
    case 'POST': {
      const { product } = JSON.parse(await request.text()) as { product?: unknown };
      if (typeof product !== 'string') return { status: 400, body: { error: 'expected {"product": "<id>"}' } };
      const change = lastChange.then(() => add(user, product));
      lastChange = change.catch(() => undefined);
      return { status: 201, body: await change };
    }
    case 'DELETE':
      await store.delete(user);
      return { body: { user, items: [] } satisfies Cart };
    default:
      return { status: 405, headers: { allow: 'GET, POST, DELETE' }, body: { error: `no ${request.method} here` } };
  }
});
