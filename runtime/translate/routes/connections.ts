import type { TcpBackend, TcpRoute } from '../../model/index.ts';
import type { TcpRouteObject, TlsRouteObject } from '../../resources/index.ts';
import type { Report } from '../report.ts';
import { referenceTo, resolvedRefs, type Verdict } from '../status.ts';
import { type BackendContext, type BackendProblem, resolveBackend } from './backends.ts';

/** A route of connections. */
export type ConnectionRouteObject = TcpRouteObject | TlsRouteObject;

export interface CompiledConnectionRoute {
  readonly object: ConnectionRouteObject;
  readonly connection: TcpRoute;
  readonly resolvedRefs: Verdict;
  readonly invalid?: undefined;
}

/** Translates the one rule of a TCPRoute or TLSRoute. */
export function compileConnectionRoute(
  object: ConnectionRouteObject,
  context: BackendContext,
  report: Report,
): CompiledConnectionRoute {
  let unresolved: BackendProblem | undefined;
  const [rule] = object.spec.rules;
  const backends = rule.backendRefs.map((ref, position): TcpBackend => {
    const { target, problem } = resolveBackend(object, ref, context);
    const { weight = 1 } = ref;
    if (target) return { target, weight };
    const message = `${problem.reason}: ${problem.message}`;
    unresolved ??= problem;
    report('MW1202', object, {
      path: `spec.rules[0].backendRefs[${position}]`,
      message,
      hint: 'correct the reference; until then its share of connections is closed',
    });
    return { problem: message, weight };
  });
  return { object, connection: { route: referenceTo(object), backends }, resolvedRefs: resolvedRefs(unresolved) };
}
