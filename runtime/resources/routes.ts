import * as z from 'zod';
import { gatewayApiVersion, hostname, preciseHostname } from './gateway-api.ts';
import { objectMeta, objectName, portNumber } from './metadata.ts';

/*
 * The routes of Gateway API v1, attached to a Gateway or, as GAMMA defines, to a Service.
 */

const text = z.string();

/** Of routes of connections, which never were `v1beta1`. */
const connectionApiVersion = z.enum([
  'gateway.networking.k8s.io/v1',
  'gateway.networking.k8s.io/v1alpha3',
  'gateway.networking.k8s.io/v1alpha2',
]);

/** GEP-2257: `1h30m`, `500ms`. */
export const duration = text
  .max(28)
  .regex(/^([0-9]{1,5}(h|m|s|ms)){1,4}$/, 'must be a duration such as 500ms, 2s or 1m30s');

/** RFC 9110 token. */
export const headerName = text.max(256).regex(/^[A-Za-z0-9!#$%&'*+\-.^_|~]+$/, 'must be a header name');
const headerValue = text.min(1).max(4096);
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] as const;

const parentRef = z.object({
  group: text.optional(),
  kind: text.optional(),
  namespace: objectName.optional(),
  name: objectName,
  sectionName: text.optional(),
  port: portNumber.optional(),
});

const backendObjectRef = z.object({
  group: text.optional(),
  kind: text.optional(),
  namespace: objectName.optional(),
  name: objectName,
  port: portNumber.optional(),
});

const header = z.object({ name: headerName, value: headerValue });
const headerModifier = z.object({
  set: z.array(header).max(16).optional(),
  add: z.array(header).max(16).optional(),
  remove: z.array(headerName).max(16).optional(),
});

const pathModifier = z.object({
  type: z.enum(['ReplaceFullPath', 'ReplacePrefixMatch']),
  replaceFullPath: text.max(1024).optional(),
  replacePrefixMatch: text.max(1024).optional(),
});

const mirror = z.object({
  backendRef: backendObjectRef,
  percent: z.int().min(0).max(100).optional(),
  fraction: z.object({ numerator: z.int().min(0), denominator: z.int().min(1).optional() }).optional(),
});

/** `HTTPCORSFilter`. */
const cors = z.object({
  allowOrigins: z
    .array(
      text
        .max(253)
        .regex(
          /^(\*|https?:\/\/((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:[0-9]{1,5})?)$/,
          'must be *, or an origin such as https://shop.example, https://*.shop.example or http://localhost:3000',
        ),
    )
    .max(64)
    .optional(),
  allowCredentials: z.boolean().optional(),
  allowMethods: z
    .array(z.enum([...methods, '*']))
    .max(9)
    .optional(),
  allowHeaders: z.array(headerName).max(64).optional(),
  exposeHeaders: z.array(headerName).max(64).optional(),
  maxAge: z.int32().min(1).optional(),
});

const grpcFilter = z.object({
  type: z.enum(['RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestMirror', 'ExtensionRef']),
  requestHeaderModifier: headerModifier.optional(),
  responseHeaderModifier: headerModifier.optional(),
  requestMirror: mirror.optional(),
});

const httpFilter = grpcFilter.extend({
  type: z.enum([
    'RequestHeaderModifier',
    'ResponseHeaderModifier',
    'RequestMirror',
    'RequestRedirect',
    'URLRewrite',
    'CORS',
    'ExternalAuth',
    'ExtensionRef',
  ]),
  requestRedirect: z
    .object({
      scheme: z.enum(['http', 'https']).optional(),
      hostname: preciseHostname.optional(),
      path: pathModifier.optional(),
      port: portNumber.optional(),
      statusCode: z.literal([301, 302, 303, 307, 308]).optional(),
    })
    .optional(),
  cors: cors.optional(),
  urlRewrite: z.object({ hostname: preciseHostname.optional(), path: pathModifier.optional() }).optional(),
});

const weight = z.int().min(0).max(1_000_000);
const httpBackendRef = backendObjectRef.extend({
  weight: weight.optional(),
  filters: z.array(httpFilter).max(16).optional(),
});
const grpcBackendRef = backendObjectRef.extend({
  weight: weight.optional(),
  filters: z.array(grpcFilter).max(16).optional(),
});

const valueMatchType = z.enum(['Exact', 'RegularExpression']);
export const headerMatch = z.object({ type: valueMatchType.optional(), name: headerName, value: headerValue });

const httpMatch = z.object({
  path: z
    .object({
      type: z.enum(['Exact', 'PathPrefix', 'RegularExpression']).optional(),
      value: text.max(1024).optional(),
    })
    .optional(),
  method: z.enum(methods).optional(),
  headers: z.array(headerMatch).max(16).optional(),
  queryParams: z
    .array(z.object({ type: valueMatchType.optional(), name: text.min(1).max(256), value: text.min(1).max(1024) }))
    .max(16)
    .optional(),
});

const grpcMatch = z.object({
  method: z
    .object({
      type: valueMatchType.optional(),
      service: text.max(1024).optional(),
      method: text.max(1024).optional(),
    })
    .optional(),
  headers: z.array(headerMatch).max(16).optional(),
});

const httpRule = z.object({
  name: text.optional(),
  matches: z.array(httpMatch).max(64).optional(),
  filters: z.array(httpFilter).max(16).optional(),
  backendRefs: z.array(httpBackendRef).max(16).optional(),
  timeouts: z.object({ request: duration.optional(), backendRequest: duration.optional() }).optional(),
  retry: z
    .object({
      codes: z.array(z.int().min(400).max(599)).optional(),
      attempts: z.int().min(0).max(100).optional(),
      backoff: duration.optional(),
    })
    .optional(),
});

const grpcRule = z.object({
  name: text.optional(),
  matches: z.array(grpcMatch).max(64).optional(),
  filters: z.array(grpcFilter).max(16).optional(),
  backendRefs: z.array(grpcBackendRef).max(16).optional(),
});

export const httpRoute = z.object({
  apiVersion: gatewayApiVersion,
  kind: z.literal('HTTPRoute'),
  metadata: objectMeta,
  spec: z.object({
    parentRefs: z.array(parentRef).max(32).optional(),
    hostnames: z.array(hostname).max(16).optional(),
    rules: z.array(httpRule).max(256).optional(),
  }),
});

const tcpRule = z.object({
  name: text.optional(),
  backendRefs: z
    .array(backendObjectRef.extend({ weight: weight.optional() }))
    .min(1)
    .max(16),
});

export const tcpRoute = z.object({
  apiVersion: connectionApiVersion,
  kind: z.literal('TCPRoute'),
  metadata: objectMeta,
  spec: z.object({
    parentRefs: z.array(parentRef).max(32).optional(),
    rules: z.array(tcpRule).min(1).max(1),
  }),
});

export const tlsRoute = z.object({
  apiVersion: connectionApiVersion,
  kind: z.literal('TLSRoute'),
  metadata: objectMeta,
  spec: z.object({
    parentRefs: z.array(parentRef).max(32).optional(),
    hostnames: z.array(hostname).min(1).max(1024),
    rules: z.array(tcpRule).min(1).max(1),
  }),
});

export const grpcRoute = z.object({
  apiVersion: gatewayApiVersion,
  kind: z.literal('GRPCRoute'),
  metadata: objectMeta,
  spec: z.object({
    parentRefs: z.array(parentRef).max(32).optional(),
    hostnames: z.array(hostname).max(16).optional(),
    rules: z.array(grpcRule).max(256).optional(),
  }),
});

export type HttpRouteObject = z.infer<typeof httpRoute>;
export type GrpcRouteObject = z.infer<typeof grpcRoute>;
export type TcpRouteObject = z.infer<typeof tcpRoute>;
export type TlsRouteObject = z.infer<typeof tlsRoute>;
export type HttpRouteRule = z.infer<typeof httpRule>;
export type GrpcRouteRule = z.infer<typeof grpcRule>;
export type HttpRouteMatch = z.infer<typeof httpMatch>;
export type GrpcRouteMatch = z.infer<typeof grpcMatch>;
export type CorsFilter = z.infer<typeof cors>;
export type HttpRouteFilter = z.infer<typeof httpFilter>;
export type HttpBackendRef = z.infer<typeof httpBackendRef>;
export type BackendObjectRef = z.infer<typeof backendObjectRef>;
export type ParentRef = z.infer<typeof parentRef>;
export type RouteHeaderMatch = z.infer<typeof headerMatch>;
export type HeaderModifier = z.infer<typeof headerModifier>;
export type PathModifier = z.infer<typeof pathModifier>;
