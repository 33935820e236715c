import type * as z from 'zod';
import { type Finding, finding } from '../model/index.ts';
import { annotations, groups } from './names.ts';
import { type KubernetesObject, schemas } from './objects.ts';

export type ParseResult =
  | { readonly object: KubernetesObject; readonly findings?: undefined }
  | { readonly object?: undefined; readonly findings: readonly Finding[] };

/** More mistakes than this in one object help nobody. */
const maxFindings = 20;

/**
 * Reads one object of a manifest.
 *
 * @param raw - what the YAML or JSON held
 * @param source - where it stood, for findings: `manifests/shop.yaml:12`
 * @returns the object with the fields the mesh knows, or what is wrong with it. Kinds the mesh does not read give
 *   a finding of severity info, or warning where the group is one we should know.
 */
export function parseObject(raw: unknown, source: string): ParseResult {
  if (!isRecord(raw) || typeof raw.kind !== 'string' || typeof raw.apiVersion !== 'string') {
    return {
      findings: [
        finding('MW1002', {
          message: 'a Kubernetes object needs apiVersion and kind',
          hint: 'write one object a YAML document, each with apiVersion, kind and metadata',
          object: source,
        }),
      ],
    };
  }
  const group = raw.apiVersion.includes('/') ? raw.apiVersion.slice(0, raw.apiVersion.indexOf('/')) : '';
  const schema = Object.hasOwn(schemas, raw.kind) ? schemas[raw.kind as keyof typeof schemas] : undefined;
  if (!schema || !accepts(schema, raw.apiVersion))
    return { findings: [unknownKind(raw.apiVersion, raw.kind, group, source)] };

  const parsed = schema.safeParse(raw, { reportInput: true });
  if (parsed.success) return { object: parsed.data };
  const place = `${raw.kind} ${nameOf(raw)}`;
  const construct = constructPathOf(raw);
  return {
    findings: parsed.error.issues.slice(0, maxFindings).map((issue) =>
      finding('MW1002', {
        message: describeIssue(issue),
        hint: issue.code === 'unrecognized_keys' ? 'remove the field or correct its spelling' : 'correct the field',
        object: `${place}${issue.path.length ? ` ${formatPath(issue.path)}` : ''} (${source})`,
        construct,
      }),
    ),
  };
}

function unknownKind(apiVersion: string, kind: string, group: string, source: string): Finding {
  const ours = group === groups.gateway || group === groups.meshwright;
  return finding('MW1003', {
    message: `${kind} of ${apiVersion} is not read by the mesh`,
    hint: ours ? `the mesh reads ${Object.keys(schemas).join(', ')}` : 'nothing to do if the mesh need not know it',
    object: source,
    severity: ours ? 'warning' : 'info',
  });
}

function accepts(schema: (typeof schemas)[keyof typeof schemas], apiVersion: string): boolean {
  return schema.shape.apiVersion.safeParse(apiVersion).success;
}

function describeIssue(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return `unknown field ${issue.keys.join(', ')}`;
  const got = issue.input === undefined ? 'nothing' : JSON.stringify(issue.input).slice(0, 80);
  return `${issue.message.charAt(0).toLowerCase()}${issue.message.slice(1)}, got ${got}`;
}

/** `spec.rules[0].action`. */
function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index ? '.' : ''}${String(part)}`))
    .join('');
}

function nameOf(raw: Record<string, unknown>): string {
  const { namespace = 'default', name = '(no name)' } = isRecord(raw.metadata) ? raw.metadata : {};
  return `${String(namespace)}/${String(name)}`;
}

function constructPathOf(raw: Record<string, unknown>): string | undefined {
  const given = isRecord(raw.metadata) && isRecord(raw.metadata.annotations) ? raw.metadata.annotations : {};
  const path = given[annotations.constructPath];
  return typeof path === 'string' ? path : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
