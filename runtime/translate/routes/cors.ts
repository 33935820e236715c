import type { Cors } from '../../model/index.ts';
import type { CorsFilter } from '../../resources/index.ts';

/** Gateway API: what holds where `maxAge` is not stated. */
const defaultMaxAge = 5;

/** Why a CORS filter cannot be carried out. */
export function corsProblem(cors: CorsFilter | undefined): string | undefined {
  if (!cors) return 'filter CORS has no cors, so it does not say which origins it allows';
  const { allowOrigins = [], allowMethods = [], allowHeaders = [], exposeHeaders = [] } = cors;
  for (const [field, values] of Object.entries({ allowOrigins, allowMethods, allowHeaders, exposeHeaders })) {
    if (values.length > 1 && values.includes('*')) return `cors.${field} has * beside others; * stands alone`;
  }
  const bad = allowOrigins.find((origin) => Number(/:(\d+)$/.exec(origin)?.[1] ?? 1) > 65535);
  return bad === undefined ? undefined : `cors.allowOrigins: ${bad} has no port from 1 to 65535`;
}

export function corsOf(cors: CorsFilter): Cors {
  const lowered = (names: readonly string[] = []) => names.map((name) => name.toLowerCase());
  return {
    allowOrigins: lowered(cors.allowOrigins).map(withoutOwnPort),
    allowCredentials: cors.allowCredentials ?? false,
    allowMethods: [...(cors.allowMethods ?? [])],
    allowHeaders: lowered(cors.allowHeaders),
    exposeHeaders: lowered(cors.exposeHeaders),
    maxAge: cors.maxAge ?? defaultMaxAge,
  };
}

/** As browsers write origins. */
function withoutOwnPort(origin: string): string {
  return origin.replace(/^(http:.*):80$|^(https:.*):443$/, '$1$2');
}
