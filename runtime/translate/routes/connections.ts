import { describeReference, type TcpBackend, type TcpRoute, type TlsRoute } from '../../model/index.ts';
import type { TcpRouteObject, TlsRouteObject } from '../../resources/index.ts';
import type { Report } from '../report.ts';
import { accepted, referenceTo, resolvedRefs, type Verdict } from '../status.ts';
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

/** The TLSRoutes of one place, oldest first, and what it is called. */
interface ServerNames {
  /** Those that the route would have there. */
  readonly serverNames: readonly string[];
  readonly routes: TlsRoute[];
  readonly place: string;
}

/** Attaches a TLSRoute wherever one of its names is still free; `report` hears of those that an older route has. */
export function attachByServerName(
  connection: TcpRoute,
  lists: readonly ServerNames[],
  report: (message: string, hint: string) => void,
): Verdict {
  let refusal: string | undefined;
  let attached = false;
  for (const { serverNames, routes, place } of lists) {
    const owners = new Map(routes.flatMap((each) => each.serverNames.map((name) => [name, each])));
    for (const name of serverNames) {
      const owner = owners.get(name);
      if (!owner) continue;
      refusal = `${describeReference(owner.route)} already holds for ${name} on ${place}; the older route wins`;
      report(refusal, 'name each server in one route');
    }
    const free = serverNames.filter((name) => !owners.has(name));
    if (free.length === 0) continue;
    routes.push({ ...connection, serverNames: free });
    attached = true;
  }
  return attached ? accepted : { holds: false, reason: 'Conflicted', message: refusal! };
}
