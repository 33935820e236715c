import type { BreakerLimits, CircuitBreaker, RouteCircuitBreaker } from '../model/index.ts';
import type { CircuitBreakerPolicyObject, GrpcRouteObject, HttpRouteObject } from '../resources/index.ts';
import type { Inventory } from './inventory.ts';
import { attachToPortsOrRoutes } from './port-or-route.ts';
import type { Report } from './report.ts';
import type { ServiceEntries, ServicePortEntry } from './services.ts';
import { type ObjectStatus, referenceTo } from './status.ts';

/** What CircuitBreakerPolicies say of routes. */
export interface RouteCircuitBreakers {
  /** Those of the route, then those of the rule. */
  ofRule(route: HttpRouteObject | GrpcRouteObject, name: string): readonly RouteCircuitBreaker[];
}

type Policy = CircuitBreakerPolicyObject;

/** Limits the ports of Services that CircuitBreakerPolicies target, and tells what they say of routes. The oldest wins. */
export function readCircuitBreakers(
  inventory: Inventory,
  services: ServiceEntries,
  report: Report,
  statuses: ObjectStatus[],
): RouteCircuitBreakers {
  const policiesOf = attachToPortsOrRoutes(
    inventory.all('CircuitBreakerPolicy'),
    {
      fits,
      refuse(policy, target) {
        const message = `${target} speaks tcp, which has connections, but no requests to limit`;
        report('MW1370', policy, { message, hint: 'limit its streams with maxConnections' });
        return { holds: false, reason: 'Invalid', message };
      },
      attach(policy, port) {
        port.circuitBreaker = breakerOf(policy, port);
      },
    },
    inventory,
    services,
    report,
    statuses,
  );
  return {
    ofRule(route, name) {
      const { ofRoute, ofRule } = policiesOf(route, name);
      return [
        ...(ofRoute ? [{ ...breakerOf(ofRoute), wholeRoute: true as const }] : []),
        ...(ofRule ? [breakerOf(ofRule)] : []),
      ];
    },
  };
}

function breakerOf(policy: Policy, port?: ServicePortEntry): CircuitBreaker {
  return { policy: referenceTo(policy), limits: limitsOf(policy, port) };
}

/** On a TCP port there are no requests. */
function limitsOf({ spec }: Policy, port?: ServicePortEntry): BreakerLimits {
  const { maxConnections, maxPendingRequests, maxRequests } = spec;
  const connections = maxConnections !== undefined && { connections: maxConnections };
  if (port?.protocol === 'tcp') return { ...connections };
  return {
    ...connections,
    ...(maxPendingRequests !== undefined && { pending: maxPendingRequests }),
    ...(maxRequests !== undefined && { requests: maxRequests }),
  };
}

function fits({ spec }: Policy, { protocol }: ServicePortEntry): boolean {
  return protocol !== 'tcp' || spec.maxConnections !== undefined;
}
