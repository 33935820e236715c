import type * as z from 'zod';

/** What the API server checks beyond types, in CEL over `self`. */
export interface AdmissionRule {
  /** What must be so, for who wrote the object. */
  readonly message: string;
  readonly cel: string;
}

/** A rule that parsing checks, too. */
export interface Rule<T> extends AdmissionRule {
  /** The same as `cel`. */
  readonly holds: (value: T) => boolean;
}

const key = 'x-kubernetes-validations';

/** Rules for the API server alone: what translation reports by itself, with a finding of its own. */
export function admission(...rules: readonly AdmissionRule[]): Record<string, unknown> {
  return { [key]: rules.map(({ message, cel }) => ({ rule: cel, message })) };
}

/**
 * Adds rules that hold wherever the object is read: in files by parsing, in a cluster by the API server. What parsing
 * does not check is for the API server alone, as with {@link admission}.
 */
export function withRule<T extends z.ZodType>(schema: T, ...rules: readonly (Rule<z.output<T>> | AdmissionRule)[]): T {
  let checked = schema;
  for (const rule of rules) if ('holds' in rule) checked = checked.refine(rule.holds, rule.message);
  return checked.meta(admission(...rules));
}

/** An object that says one of its fields: alternatives. */
export function exactlyOne<Shape extends z.core.$ZodLooseShape>(
  schema: z.ZodObject<Shape, z.core.$strict>,
): z.ZodObject<Shape, z.core.$strict> {
  const names = Object.keys(schema.shape);
  return withRule(schema, {
    message: `must have exactly one of ${names.join(', ')}`,
    cel: `[${names.map((name) => `has(self.${name})`).join(', ')}].exists_one(given, given)`,
    holds: (value) => Object.keys(value).length === 1,
  });
}
