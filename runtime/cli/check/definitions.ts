import * as z from 'zod';
import { customResourceDefinitions } from '../../resources/index.ts';
import { type Category, error, warning } from './check.ts';
import { definitionRef } from './kubernetes.ts';

const established = z.object({
  status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).optional() }).optional(),
});

const install = 'meshwright install --crds-only | kubectl apply --server-side -f -';

/** The kinds of meshwright.dev. */
export const definitions: Category = {
  name: 'definitions',
  needs: ['kubernetes'],
  checks: [
    {
      id: 'definitions-installed',
      description: 'the kinds of meshwright.dev are there',
      fatal: true,
      settles: true,
      async run(cluster) {
        const missing: string[] = [];
        for (const { metadata } of customResourceDefinitions()) {
          const object = await cluster.read(definitionRef(metadata.name));
          const conditions = object && established.parse(object).status?.conditions;
          if (!conditions?.some(({ type, status }) => type === 'Established' && status === 'True')) {
            missing.push(metadata.name);
          }
        }
        if (missing.length > 0) return error(`not there: ${missing.join(', ')}`, install);
      },
    },
    {
      id: 'definitions-current',
      description: 'they are of this version',
      async run(cluster) {
        const others: string[] = [];
        for (const wanted of customResourceDefinitions()) {
          const found = await cluster.read(definitionRef(wanted.metadata.name));
          if (!includes(found?.spec, wanted.spec)) others.push(wanted.metadata.name);
        }
        if (others.length > 0) return warning(`of another version: ${others.join(', ')}`, install);
      },
    },
  ],
};

/** Whether all that is wanted is there; the API server adds defaults. */
function includes(found: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return found === wanted;
  if (typeof found !== 'object' || found === null) return false;
  if (Array.isArray(wanted) && (found as unknown[]).length !== wanted.length) return false;
  const fields = found as Readonly<Record<string, unknown>>;
  return Object.entries(wanted).every(([key, value]) => includes(fields[key], value));
}
