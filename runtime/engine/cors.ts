import type { Cors } from '../model/index.ts';
import { headerValue } from './request.ts';

/** The CORS setting of a rule, compiled. */
export interface CompiledCors {
  /** Whether pages of an origin may read what is answered. */
  allows(origin: string): boolean;
  /** The fields of the answer to a preflight with these headers, the origin of which is allowed. */
  preflight(headers: readonly string[]): string[];
  /**
   * Changes the headers of a response to a request of `origin`, if it names one: what the application says of origins
   * is replaced, as the rule has the last word (GEP-1767).
   */
  respond(origin: string | undefined, headers: readonly string[]): string[];
}

/** What an application says of origins, and the mesh in its place. */
const corsFields: ReadonlySet<string> = new Set(
  ['allow-origin', 'allow-credentials', 'allow-methods', 'allow-headers', 'expose-headers', 'max-age'].map(
    (name) => `access-control-${name}`,
  ),
);

export function compileCors(cors: Cors): CompiledCors {
  const { allowCredentials, allowMethods, allowHeaders, exposeHeaders, maxAge } = cors;
  const allows = originMatcher(cors.allowOrigins);
  const everyone = cors.allowOrigins.includes('*');
  // Where it is the same for all, caches need not tell requests apart by their origin (Fetch section 3.3.7).
  const same = everyone && !allowCredentials;

  function sharing(origin: string): string[] {
    const fields = ['access-control-allow-origin', same ? '*' : origin];
    if (allowCredentials) fields.push('access-control-allow-credentials', 'true');
    return fields;
  }

  /** With credentials `*` has no meaning, so what was asked for is named. */
  function permission(name: string, permitted: readonly string[], asked: string | undefined): string[] {
    const value = permitted.includes('*') && allowCredentials ? asked : permitted.join(', ');
    return value ? [name, value] : [];
  }

  return {
    allows,
    preflight(headers) {
      const method = headerValue(headers, 'access-control-request-method');
      const names = headerValue(headers, 'access-control-request-headers');
      return [
        ...sharing(headerValue(headers, 'origin') ?? ''),
        ...permission('access-control-allow-methods', allowMethods, method),
        ...permission('access-control-allow-headers', allowHeaders, names),
        ...permission('access-control-expose-headers', exposeHeaders, undefined),
        ...['access-control-max-age', String(maxAge)],
        ...['vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'],
      ];
    },
    respond(origin, headers) {
      const kept = headers.filter((_, index) => !corsFields.has(headers[index - (index % 2)]));
      if (same || (origin !== undefined && allows(origin))) {
        const exposed = permission('access-control-expose-headers', exposeHeaders, namesOf(kept));
        kept.push(...sharing(origin ?? ''), ...exposed);
      }
      if (!same && !variesByOrigin(kept)) kept.push('vary', 'Origin');
      return kept;
    },
  };
}

/** Compares origins as browsers write them: without a path, and without the port of their scheme. */
function originMatcher(allowed: readonly string[]): (origin: string) => boolean {
  if (allowed.includes('*')) return () => true;
  const exact = new Set(allowed.filter((origin) => !origin.includes('*')));
  // `https://*.example:8443` is compared by what stands before and after its `*`.
  const patterns = allowed.filter((origin) => origin.includes('*')).map((origin) => origin.split('*'));
  return (origin) => {
    const lowered = origin.toLowerCase();
    return exact.has(lowered) || patterns.some(([before, after]) => matchesHost(lowered, before, after));
  };
}

/** `*` stands for one label or more, and never for a port. */
function matchesHost(origin: string, before: string, after: string): boolean {
  if (!origin.startsWith(before) || !origin.endsWith(after)) return false;
  return /^(?:[^:/[\]@]+|\[[0-9a-f:.]+\])$/.test(origin.slice(before.length, origin.length - after.length));
}

/** The names that scripts are to see: all but those that no script ever sees. */
function namesOf(headers: readonly string[]): string {
  const names = new Set(headers.filter((_, index) => index % 2 === 0));
  names.delete('set-cookie');
  return [...names].join(', ');
}

function variesByOrigin(headers: readonly string[]): boolean {
  const names = (headerValue(headers, 'vary') ?? '').toLowerCase().split(',');
  return names.some((name) => name.trim() === 'origin' || name.trim() === '*');
}
