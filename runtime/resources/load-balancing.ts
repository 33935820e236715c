import * as z from 'zod';
import { objectMeta } from './metadata.ts';
import { apiVersion, durationFrom, serviceRef, status, targetRefs } from './policy.ts';
import { headerName } from './routes.ts';
import { admission, exactlyOne } from './rule.ts';

const text = z.string();

/** RFC 6265: a token. */
const cookieName = text.max(64).regex(/^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/, 'must be a cookie name');

const hashKey = exactlyOne(
  z.strictObject({
    header: headerName.optional(),
    cookie: cookieName.optional(),
    query: text.min(1).max(256).describe('Name of a query parameter.').optional(),
    source: z.literal(true).describe("The caller's identity; at a gateway the client's address.").optional(),
  }),
);

const sessionPersistence = z.strictObject({
  sessionName: cookieName.describe('Name of the cookie. Absent: `mw-` and the name of the Service.').optional(),
  absoluteTimeout: durationFrom('1s', '168h')
    .describe('How long the cookie lasts. Absent: as long as the session of the browser.')
    .optional(),
  path: text
    .max(256)
    .regex(/^\/[\x21-\x3a\x3c-\x7e]*$/, 'must begin with / and hold neither spaces nor ;')
    .describe('Where the client sends it back to. Absent: everywhere.')
    .optional(),
  sameSite: z.enum(['Strict', 'Lax', 'None']).describe('Lax where absent.').optional(),
  secure: z.boolean().describe('Whether it is sent back over TLS only. False where absent.').optional(),
});

export const loadBalancingPolicy = z.strictObject({
  apiVersion,
  kind: z.literal('LoadBalancingPolicy'),
  metadata: objectMeta,
  spec: z
    .strictObject({
      targetRefs: targetRefs(serviceRef),
      algorithm: z
        .enum(['PeakEWMA', 'LeastRequest', 'RoundRobin', 'Random', 'RingHash', 'Maglev'])
        .describe(
          'PeakEWMA: the one of two random endpoints with the lower expected wait, by its latency and the requests under way. LeastRequest: the one with fewer requests under way. RingHash, Maglev: equal keys go to one endpoint.',
        ),
      hashKey: hashKey.describe('What RingHash and Maglev hash.').optional(),
      sessionPersistence: sessionPersistence
        .describe('A cookie of the mesh leads a client back to the endpoint that answered it first.')
        .meta(
          admission({
            message: 'browsers drop a cookie with sameSite None that is not secure',
            cel: "!has(self.sameSite) || self.sameSite != 'None' || (has(self.secure) && self.secure)",
          }),
        )
        .optional(),
      preferSameZone: z
        .strictObject({
          minEndpoints: z
            .int()
            .min(1)
            .max(1000)
            .describe('With fewer ready in the zone, the missing share of the requests goes to the other zones.'),
        })
        .describe("Keeps requests in the caller's zone.")
        .optional(),
      slowStart: z
        .strictObject({ window: durationFrom('1s', '1h').describe('Until its share is full.') })
        .describe('Gives an endpoint that has just come a share that grows from a tenth to a full one.')
        .optional(),
      panicThreshold: z
        .int()
        .min(1)
        .max(100)
        .describe(
          'Percent: with a smaller part of the endpoints ready, those that are not are tried as well. Absent: never.',
        )
        .optional(),
    })
    .describe('How callers of a Service choose one of its endpoints.')
    .meta(
      admission(
        {
          message: 'hashKey goes with RingHash and Maglev, and they with it',
          cel: "has(self.hashKey) == (self.algorithm in ['RingHash', 'Maglev'])",
        },
        {
          message: 'where a key decides, sessionPersistence, preferSameZone and slowStart cannot',
          cel: '!has(self.hashKey) || !(has(self.sessionPersistence) || has(self.preferSameZone) || has(self.slowStart))',
        },
      ),
    ),
  status: status.optional(),
});

export type LoadBalancingPolicyObject = z.infer<typeof loadBalancingPolicy>;
