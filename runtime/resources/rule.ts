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
  holds(value: T): boolean;
}

const key = 'x-kubernetes-validations';

/** Rules for the API server alone: what translation reports by itself, with a finding of its own. */
export function admission(...rules: readonly AdmissionRule[]): Record<string, unknown> {
  return { [key]: rules.map(({ message, cel }) => ({ rule: cel, message })) };
}

/** Adds a rule that holds wherever the object is read: in files by parsing, in a cluster by the API server. */
export function withRule<T extends z.ZodType>(schema: T, rule: Rule<z.output<T>>): T {
  return schema.refine((value) => rule.holds(value), rule.message).meta(admission(rule));
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
