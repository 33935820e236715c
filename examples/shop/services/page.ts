import type { Cart } from './cart.ts';
import type { Product } from './catalog.ts';
import type { Reviews } from './reviews.ts';

/** A product with what people say about it; without reviews where that service did not answer. */
export interface Shelf {
  readonly product: Product;
  readonly reviews: Reviews | undefined;
}

/** The shop's only page. */
export function page({
  shelf,
  cart,
}: {
  readonly shelf: readonly Shelf[] | undefined;
  readonly cart: Cart | undefined;
}) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The Meshwright Shop</title>
<style>${style}</style>
<header><h1>The Meshwright Shop</h1><p>${escapeHtml(basket(cart))}</p></header>
<main>${shelf ? shelf.map(card).join('') : '<p class="missing">The catalog is not available at the moment.</p>'}</main>
<footer>Every call behind this page went through two sidecars and mutual TLS.</footer>
</html>
`;
}

function basket(cart: Cart | undefined): string {
  if (!cart) return 'The cart is not available at the moment.';
  return cart.items.length === 0 ? 'Your cart is empty.' : `In your cart: ${cart.items.join(', ')}`;
}

function card({ product, reviews }: Shelf): string {
  return `
<article>
  <h2>${escapeHtml(product.title)}</h2>
  <p class="author">${escapeHtml(product.author)}</p>
  <form method="post" action="/cart"><input type="hidden" name="product" value="${escapeHtml(product.id)}">
    <button>Add for $${(product.price / 100).toFixed(2)}</button></form>
  ${reviews ? opinions(reviews) : '<p class="missing">Reviews are not available at the moment.</p>'}
</article>`;
}

function opinions({ version, color, reviews }: Reviews): string {
  const quotes = reviews.map(({ reviewer, text, stars }) => {
    const rating =
      stars && color ? `<span class="stars ${color}" title="${stars} of 5">${'★'.repeat(stars)}</span>` : '';
    return `<blockquote>${escapeHtml(text)} ${rating}<cite>${escapeHtml(reviewer)}</cite></blockquote>`;
  });
  return `${quotes.join('')}<p class="version">reviews ${escapeHtml(version)}</p>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const style = `
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { max-width: 64rem; margin: 0 auto; padding: 2rem 1rem; }
  header { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: baseline; }
  main { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1.5rem; }
  article { border: 1px solid color-mix(in srgb, currentColor 20%, transparent); border-radius: .75rem; padding: 1.25rem; }
  h2 { margin: 0; } .author, .version, footer, cite, .missing { opacity: .65; font-size: .875rem; }
  blockquote { margin: 1rem 0; padding-left: .75rem; border-left: 3px solid currentColor; } cite { display: block; }
  .stars.red { color: #d0021b; } .stars.black { color: CanvasText; }
  button { font: inherit; padding: .35rem .9rem; border-radius: .5rem; border: 0; background: #2457d6; color: white; cursor: pointer; }
  footer { margin-top: 2rem; }
`;
