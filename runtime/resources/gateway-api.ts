import * as z from 'zod';
import { objectMeta, objectName, portNumber } from './metadata.ts';

/*
 * Gateway API v1: Gateway, GatewayClass, ReferenceGrant. Routes are in routes.ts. Fields beyond what we read are
 * allowed and dropped. `v1beta1` has the same shape and is still what much YAML says.
 */

export const gatewayApiVersion = z.enum(['gateway.networking.k8s.io/v1', 'gateway.networking.k8s.io/v1beta1']);

const text = z.string();

/** A host name, possibly with one wildcard label in front. */
export const hostname = text
  .max(253)
  .regex(/^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, 'must be a lower-case host name');

/** A host name without wildcard. */
export const preciseHostname = hostname.regex(/^[^*]*$/, 'must not have a wildcard');

const allowedRoutes = z.object({
  namespaces: z
    .object({
      from: z.enum(['All', 'Selector', 'Same', 'None']).optional(),
      // Strict: a selector of which we ignored half would allow more than it says.
      selector: z.strictObject({ matchLabels: z.record(text, text) }).optional(),
    })
    .optional(),
  kinds: z.array(z.object({ group: text.optional(), kind: text })).optional(),
});

export const gateway = z.object({
  apiVersion: gatewayApiVersion,
  kind: z.literal('Gateway'),
  metadata: objectMeta,
  spec: z.object({
    gatewayClassName: text,
    listeners: z
      .array(
        z.object({
          name: text,
          hostname: hostname.optional(),
          port: portNumber,
          protocol: text,
          tls: z.object({ mode: z.enum(['Terminate', 'Passthrough']).optional() }).optional(),
          allowedRoutes: allowedRoutes.optional(),
        }),
      )
      .min(1)
      .max(64),
  }),
});

export const gatewayClass = z.object({
  apiVersion: gatewayApiVersion,
  kind: z.literal('GatewayClass'),
  metadata: objectMeta,
  spec: z.object({ controllerName: text }),
});

export const referenceGrant = z.object({
  apiVersion: gatewayApiVersion,
  kind: z.literal('ReferenceGrant'),
  metadata: objectMeta,
  spec: z.object({
    from: z.array(z.object({ group: text, kind: text, namespace: objectName })).min(1),
    to: z.array(z.object({ group: text, kind: text, name: text.optional() })).min(1),
  }),
});

export type GatewayObject = z.infer<typeof gateway>;
