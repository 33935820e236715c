import * as z from 'zod';
import { type GrpcStatus, grpcStatusCodes } from '../model/index.ts';
import { conditions, objectName } from './metadata.ts';
import { apiVersions, groups } from './names.ts';
import { duration } from './routes.ts';
import { admission, withRule } from './rule.ts';

/*
 * What our custom resources have in common. Unlike standard objects they are strict: an unknown field is a mistake.
 */

const text = z.string();
export const apiVersion = z.literal(apiVersions.meshwright);
/** How a call of gRPC ends that does not end well. */
export const grpcStatus = z.enum(Object.keys(grpcStatusCodes) as [GrpcStatus, ...GrpcStatus[]]);
export const status = z.strictObject({ conditions: conditions.optional() }).describe('What the controller says of it.');

export const serviceRef = z.strictObject({
  group: z.literal('').describe('The core group: empty.'),
  kind: z.literal('Service'),
  name: objectName.describe('A Service of the same namespace.'),
});

export const servicePortRef = serviceRef.extend({
  sectionName: text.min(1).max(63).describe('Name of one port of the Service. Absent: all ports.').optional(),
});

/** A Service, a port of it, a route, or a rule of it; `sectionless` is what one without `sectionName` means. */
export function portOrRouteRef(sectionless: string) {
  return withRule(
    z.strictObject({
      group: z
        .enum([groups.core, groups.gateway])
        .describe('The core group, which is empty, for a Service; else that of routes.'),
      kind: z.enum(['Service', 'HTTPRoute', 'GRPCRoute']),
      name: objectName.describe('A Service or route of the same namespace.'),
      sectionName: text
        .min(1)
        .max(253)
        .describe(`Name of one port of the Service, or of one rule of the route. Absent: ${sectionless}.`)
        .optional(),
    }),
    {
      message: `group must be empty for a Service, and ${groups.gateway} for a route`,
      cel: "(self.kind == 'Service') == (self.group == '')",
      holds: ({ group, kind }) => (kind === 'Service') === (group === groups.core),
    },
  );
}

/** A duration within limits, which the API server checks; who reads files is told by translation. */
export function durationFrom(least: string, most: string) {
  return duration.meta(
    admission({
      message: `must be from ${least} to ${most}`,
      cel: `duration(self) >= duration('${least}') && duration(self) <= duration('${most}')`,
    }),
  );
}

/** What a policy is attached to (GEP-713). */
export function targetRefs<T extends z.ZodType<object>>(reference: T) {
  return withRule(z.array(reference).min(1).max(16).describe('What it is attached to (GEP-713).'), {
    message: 'must not name a target twice',
    cel: 'self.all(a, self.exists_one(b, a == b))',
    holds: (refs) => new Set(refs.map((ref) => JSON.stringify(Object.entries(ref).sort()))).size === refs.length,
  });
}

/** What is called: a method and a path. One that says neither would be everything, also where a field is misspelt. */
export const operation = withRule(
  z.strictObject({
    methods: z
      .array(text.regex(/^[A-Z]+$/, 'must be an upper-case HTTP method'))
      .min(1)
      .max(16)
      .describe('Alternatives. Absent: every method.')
      .optional(),
    paths: z
      .array(
        withRule(
          z.strictObject({
            type: z.enum(['Exact', 'PathPrefix', 'RegularExpression']),
            value: text.min(1).max(1024),
          }),
          {
            message: 'value must begin with /',
            cel: "self.type == 'RegularExpression' || self.value.startsWith('/')",
            holds: (path) => path.type === 'RegularExpression' || path.value.startsWith('/'),
          },
        ),
      )
      .min(1)
      .max(64)
      .describe('Alternatives. Absent: every path.')
      .optional(),
  }),
  {
    message: 'must have methods, paths, or both',
    cel: 'has(self.methods) || has(self.paths)',
    holds: ({ methods, paths }) => methods !== undefined || paths !== undefined,
  },
);
