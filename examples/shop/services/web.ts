import type { Cart } from './cart.ts';
import type { Product } from './catalog.ts';
import { type Answer, call, type Request, serve, UpstreamError } from './common.ts';
import { page, type Shelf } from './page.ts';
import type { Reviews } from './reviews.ts';

const catalog = 'http://catalog:9080';
const reviews = 'http://reviews:9080';
const cart = 'http://cart:7070';

/** The parts of a page stand alone: where a service is down, the page says so and shows the rest. */
async function optional<Result>(result: Promise<Result>): Promise<Result | undefined> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof UpstreamError || error instanceof TypeError) return undefined;
    throw error;
  }
}

async function home(request: Request): Promise<Answer> {
  const [products, contents] = await Promise.all([
    optional(call<Product[]>(request, `${catalog}/products`)),
    optional(call<Cart>(request, `${cart}/items`)),
  ]);
  const shelf: Shelf[] = await Promise.all(
    (products ?? []).map(async (product) => ({
      product,
      reviews: await optional(call<Reviews>(request, `${reviews}/reviews/${product.id}`)),
    })),
  );
  return { body: page({ shelf: products && shelf, cart: contents }) };
}

async function addToCart(request: Request): Promise<Answer> {
  const body = await request.text();
  const isForm = request.header('content-type')?.startsWith('application/x-www-form-urlencoded');
  const product = isForm
    ? new URLSearchParams(body).get('product')
    : (JSON.parse(body) as { product?: string }).product;
  const contents = await call<Cart>(request, `${cart}/items`, { method: 'POST', body: JSON.stringify({ product }) });
  return isForm ? { status: 303, headers: { location: '/' } } : { status: 201, body: contents };
}

serve('web', 8080, async (request) => {
  const { method, path } = request;
  if (method === 'POST' && (path === '/cart' || path === '/api/cart')) return addToCart(request);
  if (method !== 'GET') return { status: 405, headers: { allow: 'GET, POST' }, body: { error: `no ${method} here` } };
  if (path === '/') return home(request);
  if (path === '/api/products') return { body: await call(request, `${catalog}/products`) };
  if (path === '/api/cart') return { body: await call(request, `${cart}/items`) };
  const id = /^\/api\/reviews\/([^/]+)$/.exec(path)?.[1];
  if (id !== undefined) return { body: await call(request, `${reviews}/reviews/${id}`) };
  return { status: 404, body: { error: `nothing at ${path}` } };
});
