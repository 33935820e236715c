import { serve } from './common.ts';

/** Stars by product. */
const ratings: Readonly<Record<string, readonly number[]>> = {
  'moby-dick': [5, 4],
  middlemarch: [5, 5],
  walden: [4, 3],
};

/** With FLAKY set, one answer in five is a 503: something for the mesh to retry. */
const flaky = Boolean(process.env.FLAKY);

serve('ratings', 9080, ({ path }) => {
  if (flaky && Math.random() < 0.2) return { status: 503, body: { error: 'too busy to count stars' } };
  const id = /^\/ratings\/([^/]+)$/.exec(path)?.[1];
  const stars = id === undefined ? undefined : ratings[id];
  return stars ? { body: { stars } } : { status: 404, body: { error: `no ratings at ${path}` } };
});
