import * as z from 'zod';
import { circuitBreakerPolicy } from './circuit-breaker.ts';
import { faultPolicy } from './fault.ts';
import { loadBalancingPolicy } from './load-balancing.ts';
import { accessPolicy, mesh } from './meshwright.ts';
import { mtlsPolicy } from './mtls.ts';
import { groups } from './names.ts';
import { outlierDetectionPolicy } from './outlier-detection.ts';
import { rateLimitPolicy } from './rate-limit.ts';
import { retryPolicy } from './retry.ts';
import { timeoutPolicy } from './timeout.ts';

interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'date';
  readonly description?: string;
  readonly jsonPath: string;
  /** 0, as where absent: always shown; 1: with `-o wide`. */
  readonly priority?: number;
}

interface Definition {
  readonly kind: string;
  readonly plural: string;
  readonly shortNames?: readonly string[];
  readonly categories: readonly string[];
  readonly schema: z.ZodType;
  readonly columns: readonly PrinterColumn[];
}

/** The part of a CustomResourceDefinition that we write. */
export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: { readonly names: { readonly kind: string } } & Readonly<Record<string, unknown>>;
}

const target: PrinterColumn = {
  name: 'Target',
  type: 'string',
  description: 'The first Service it is attached to.',
  jsonPath: '.spec.targetRefs[0].name',
};

const definitions: readonly Definition[] = [
  {
    kind: 'Mesh',
    plural: 'meshes',
    categories: ['meshwright'],
    schema: mesh,
    columns: [
      { name: 'Trust Domain', type: 'string', jsonPath: '.spec.trustDomain' },
      { name: 'mTLS', type: 'string', jsonPath: '.spec.mtls' },
    ],
  },
  {
    kind: 'AccessPolicy',
    plural: 'accesspolicies',
    shortNames: ['ap'],
    categories: ['meshwright', 'meshwright-policy'],
    schema: accessPolicy,
    columns: [target],
  },
  {
    kind: 'LoadBalancingPolicy',
    plural: 'loadbalancingpolicies',
    shortNames: ['lbp'],
    categories: ['meshwright', 'meshwright-policy'],
    schema: loadBalancingPolicy,
    columns: [target, { name: 'Algorithm', type: 'string', jsonPath: '.spec.algorithm' }],
  },
  {
    kind: 'RateLimitPolicy',
    plural: 'ratelimitpolicies',
    shortNames: ['rlp'],
    categories: ['meshwright', 'meshwright-policy'],
    schema: rateLimitPolicy,
    columns: [target],
  },
  {
    kind: 'FaultPolicy',
    plural: 'faultpolicies',
    shortNames: ['fp'],
    categories: ['meshwright', 'meshwright-policy'],
    schema: faultPolicy,
    columns: [target],
  },
  {
    kind: 'RetryPolicy',
    plural: 'retrypolicies',
    categories: ['meshwright', 'meshwright-policy'],
    schema: retryPolicy,
    columns: [{ ...target, description: 'The first Service or route it is attached to.' }],
  },
  {
    kind: 'MtlsPolicy',
    plural: 'mtlspolicies',
    shortNames: ['mtls'],
    categories: ['meshwright', 'meshwright-policy'],
    schema: mtlsPolicy,
    columns: [target, { name: 'Mode', type: 'string', jsonPath: '.spec.mode' }],
  },
  {
    kind: 'CircuitBreakerPolicy',
    plural: 'circuitbreakerpolicies',
    shortNames: ['cbp'],
    categories: ['meshwright', 'meshwright-policy'],
    schema: circuitBreakerPolicy,
    columns: [{ ...target, description: 'The first Service or route it is attached to.' }],
  },
  {
    kind: 'OutlierDetectionPolicy',
    plural: 'outlierdetectionpolicies',
    shortNames: ['odp'],
    categories: ['meshwright', 'meshwright-policy'],
    schema: outlierDetectionPolicy,
    columns: [target],
  },
  {
    kind: 'TimeoutPolicy',
    plural: 'timeoutpolicies',
    shortNames: ['tp'],
    categories: ['meshwright', 'meshwright-policy'],
    schema: timeoutPolicy,
    columns: [{ ...target, description: 'The first Service or route it is attached to.' }],
  },
];

/** Columns every kind ends with. */
const commonColumns: readonly PrinterColumn[] = [
  { name: 'Accepted', type: 'string', jsonPath: ofCondition('Accepted', 'status') },
  { name: 'Reason', type: 'string', jsonPath: ofCondition('Accepted', 'reason'), priority: 1 },
  { name: 'Message', type: 'string', jsonPath: ofCondition('Accepted', 'message'), priority: 1 },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
];

function ofCondition(type: string, field: string): string {
  return `.status.conditions[?(@.type=="${type}")].${field}`;
}

/** The CustomResourceDefinitions of the mesh's own kinds, ready to apply. */
export function customResourceDefinitions(): CustomResourceDefinition[] {
  return definitions.map((definition) => ({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${definition.plural}.${groups.meshwright}`,
      labels: policyLabels(definition),
    },
    spec: {
      group: groups.meshwright,
      scope: 'Namespaced',
      names: {
        kind: definition.kind,
        listKind: `${definition.kind}List`,
        plural: definition.plural,
        singular: definition.kind.toLowerCase(),
        ...(definition.shortNames && { shortNames: definition.shortNames }),
        categories: definition.categories,
      },
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [...definition.columns, ...commonColumns],
          schema: { openAPIV3Schema: openApiSchema(definition.schema) },
        },
      ],
    },
  }));
}

/** GEP-713: tools find policies by this label. */
function policyLabels(definition: Definition): Record<string, string> {
  return definition.categories.includes('meshwright-policy') ? { 'gateway.networking.k8s.io/policy': 'Direct' } : {};
}

function openApiSchema(schema: z.ZodType): Record<string, unknown> {
  const { properties, ...rest } = structural(z.toJSONSchema(schema, { target: 'openapi-3.0' }));
  return {
    ...rest,
    properties: {
      ...(properties as Record<string, unknown>),
      // The API server itself validates these three.
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
    },
  };
}

/** Takes out what a structural schema forbids; unknown fields are pruned or refused by the API server anyway. */
function structural(schema: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === '$schema' || (key === 'additionalProperties' && value === false)) continue;
    result[key] = Array.isArray(value) ? value.map(structuralPart) : structuralPart(value);
  }
  return result;
}

function structuralPart(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? structural(value as Record<string, unknown>) : value;
}
