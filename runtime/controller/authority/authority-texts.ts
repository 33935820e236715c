import { z } from 'zod';
import type { AuthorityFiles, Rotation } from '../../identity/authority.ts';
import { FindingsError, finding } from '../../model/index.ts';

/** The texts that an authority is kept as; what each is called depends on the store. */
export interface AuthorityTexts {
  readonly certificate: string;
  readonly key: string;
  readonly roots: string;
  readonly rotation: string;
}

const time = z.iso.datetime().transform((text) => Date.parse(text));
const rotationSchema = z.discriminatedUnion('phase', [
  z.strictObject({
    phase: z.literal('announced'),
    since: time,
    certificate: z.string().min(1),
    key: z.string().min(1),
  }),
  z.strictObject({ phase: z.literal('retiring'), since: time }),
]);

/** Reads what a store has; empty is as good as absent. Throws a {@link FindingsError} that holds none of it. */
export function parseTexts(
  texts: Partial<AuthorityTexts>,
  options: { readonly names: AuthorityTexts; readonly source: string },
): AuthorityFiles {
  const { names, source } = options;
  const { certificate, key, roots, rotation } = texts;
  const missing = (['certificate', 'key'] as const).filter((name) => !texts[name]).map((name) => names[name]);
  if (!certificate || !key) {
    throw unreadable(source, `${missing.join(' and ')} missing`, 'put it back, or remove the rest to begin anew');
  }
  return {
    certificatePem: certificate,
    keyPem: key,
    ...(roots && { rootPem: roots }),
    ...(rotation && { rotation: parseRotation(rotation, names.rotation, source) }),
  };
}

export function formatTexts({ certificatePem, keyPem, rootPem, rotation }: AuthorityFiles): Partial<AuthorityTexts> {
  return {
    certificate: certificatePem,
    key: keyPem,
    ...(rootPem && { roots: rootPem }),
    ...(rotation && { rotation: formatRotation(rotation) }),
  };
}

function parseRotation(text: string, name: string, source: string): Rotation {
  try {
    const parsed = rotationSchema.parse(JSON.parse(text));
    if (parsed.phase === 'retiring') return parsed;
    const { phase, since, certificate, key } = parsed;
    return { phase, since, certificatePem: certificate, keyPem: key };
  } catch {
    throw unreadable(source, `${name} does not tell where the change of root is`, 'restore it from a backup');
  }
}

function formatRotation(rotation: Rotation): string {
  const { phase } = rotation;
  const since = new Date(rotation.since).toISOString();
  if (phase === 'retiring') return JSON.stringify({ phase, since });
  return JSON.stringify({ phase, since, certificate: rotation.certificatePem, key: rotation.keyPem });
}

export function unreadable(source: string, message: string, hint: string): FindingsError {
  return new FindingsError([finding('MW1602', { object: source, message, hint })]);
}
