import { call, serve } from './common.ts';

export interface Reviews {
  readonly version: string;
  /** How this version paints its stars; v1 shows none. */
  readonly color: 'black' | 'red' | null;
  readonly reviews: readonly { readonly reviewer: string; readonly text: string; readonly stars?: number }[];
}

const texts: Readonly<Record<string, readonly { readonly reviewer: string; readonly text: string }[]>> = {
  'moby-dick': [
    { reviewer: 'Ishmael', text: 'Came for the whale, stayed for the chapter on rope.' },
    { reviewer: 'Queequeg', text: 'A fine companion on a long voyage.' },
  ],
  middlemarch: [
    { reviewer: 'Dorothea', text: 'Every page is about someone you know.' },
    { reviewer: 'Will', text: 'Long, and too short.' },
  ],
  walden: [
    { reviewer: 'Ralph', text: 'I own the pond. He owns the book.' },
    { reviewer: 'Ellery', text: 'More beans than I expected.' },
  ],
};

const version = process.env.SERVICE_VERSION ?? 'v1';
const color = version === 'v1' ? null : version === 'v2' ? 'black' : 'red';

serve(`reviews ${version}`, 9080, async (request) => {
  const id = /^\/reviews\/([^/]+)$/.exec(request.path)?.[1] ?? '';
  const reviews = texts[id];
  if (!reviews) return { status: 404, body: { version, error: `no reviews at ${request.path}` } };
  if (!color) return { body: { version, color, reviews } satisfies Reviews };
  const { stars } = await call<{ stars: number[] }>(request, `http://ratings:9080/ratings/${id}`);
  return {
    body: { version, color, reviews: reviews.map((review, i) => ({ ...review, stars: stars[i] })) } satisfies Reviews,
  };
});
