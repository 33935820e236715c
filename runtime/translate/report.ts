import { type Finding, type FindingId, finding } from '../model/index.ts';
import { annotations, describeObject, type KubernetesObject } from '../resources/index.ts';

interface Details {
  /** Where in the object: `spec.rules[0]`. */
  readonly path?: string;
  readonly message: string;
  readonly hint: string;
}

/** What a finding names. */
export type Place = Pick<KubernetesObject, 'kind' | 'metadata'>;

/** Notes what is wrong with an object. */
export type Report = (id: FindingId, object: Place, details: Details) => void;

/** A {@link Report} that appends to `findings`. */
export function reportTo(findings: Finding[]): Report {
  return (id, object, { path, message, hint }) => {
    findings.push(
      finding(id, {
        message,
        hint,
        object: path ? `${describeObject(object)} ${path}` : describeObject(object),
        construct: object.metadata.annotations?.[annotations.constructPath],
      }),
    );
  };
}
