import type { BackendObjectRef } from '../../resources/index.ts';
import type { RouteCircuitBreakers } from '../circuit-breakers.ts';
import { valueAt } from '../collections.ts';
import type { GatewayEntries } from '../gateways.ts';
import type { Grants } from '../grants.ts';
import type { Inventory } from '../inventory.ts';
import type { MeshSettings } from '../meshes.ts';
import type { Report } from '../report.ts';
import type { RuleRetriesOf } from '../retries.ts';
import type { ServiceEntries } from '../services.ts';
import type { Verdict } from '../status.ts';
import type { RuleTimeoutsOf } from '../timeouts.ts';
import type { RouteObject } from './backends.ts';
import { type CompiledConnectionRoute, compileConnectionRoute } from './connections.ts';
import { type CompiledRequestRoute, compileRequestRoute } from './rules.ts';

export interface RouteContext {
  readonly inventory: Inventory;
  readonly mesh: MeshSettings;
  readonly services: ServiceEntries;
  readonly gateways: GatewayEntries;
  readonly grants: Grants;
  readonly circuitBreakers: RouteCircuitBreakers;
  readonly retriesOf: RuleRetriesOf;
  readonly timeoutsOf: RuleTimeoutsOf;
  readonly report: Report;
}

export type CompiledRoute = CompiledRequestRoute | CompiledConnectionRoute;

/** Whether a route is attached to a parent; absent where the parent belongs to another controller. */
export type Attachment = Verdict | undefined;

/**
 * Compiles a route when it is first needed: routes of somebody else's gateways are not ours to judge. Across
 * namespaces a gateway's routes need a ReferenceGrant of where they lead; those of Services do not, as they expose
 * nothing that their callers could not reach without them (GEP-1294, "Namespace boundaries").
 */
export function compilation(
  object: RouteObject,
  { services, grants, circuitBreakers, retriesOf, timeoutsOf, report }: RouteContext,
): (parent: 'Service' | 'Gateway') => CompiledRoute {
  const compiled = new Map<string, CompiledRoute>();
  const told = new Set<string>();
  const once: Report = (id, place, details) => {
    const text = JSON.stringify([id, details]);
    if (!told.has(text)) report(id, place, details);
    told.add(text);
  };
  const anywhere = () => true;
  const granted = (route: RouteObject, ref: BackendObjectRef) => grants.permit(route, ref);
  return (parent) =>
    valueAt(compiled, parent, () => {
      const context = { services, circuitBreakers, timeoutsOf, permit: parent === 'Service' ? anywhere : granted };
      return object.kind === 'HTTPRoute' || object.kind === 'GRPCRoute'
        ? compileRequestRoute(object, context, retriesOf, once)
        : compileConnectionRoute(object, context, once);
    });
}
