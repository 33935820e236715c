import type { CompiledCors } from './cors.ts';
import { type HttpRequest, headerValue } from './request.ts';
import type { RouteMatch, Router } from './router.ts';

/** What answers a preflight in place of its target. */
export interface PreflightMatch {
  readonly found: RouteMatch & { readonly cors: CompiledCors };
  /** The request by which it was found. */
  readonly request: HttpRequest;
}

/**
 * Finds the rule that answers a preflight: the one that would decide about the request which it announces, else its
 * own. `undefined` for what is no preflight, and where neither rule has a CORS setting.
 */
export function routePreflight(router: Router, request: HttpRequest): PreflightMatch | undefined {
  if (request.method !== 'OPTIONS' || headerValue(request.headers, 'origin') === undefined) return undefined;
  const method = headerValue(request.headers, 'access-control-request-method');
  if (method === undefined) return undefined;
  for (const asked of [{ ...request, method }, request]) {
    const found = router.route(asked);
    if (found?.cors) return { found: { ...found, cors: found.cors }, request: asked };
  }
  return undefined;
}
