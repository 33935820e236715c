import { parseDuration, type Timeouts, timeLimits } from '../model/index.ts';
import type { GrpcRouteObject, HttpRouteObject, TimeoutPolicyObject } from '../resources/index.ts';
import type { Inventory } from './inventory.ts';
import { attachToPortsOrRoutes } from './port-or-route.ts';
import type { Report } from './report.ts';
import type { ServiceEntries } from './services.ts';
import type { ObjectStatus } from './status.ts';

/** Tells what TimeoutPolicies say of the rule of a route; of each limit, what names the rule wins over the route. */
export type RuleTimeoutsOf = (route: HttpRouteObject | GrpcRouteObject, rule: string) => Timeouts;

/** Gives the ports of Services the limits of their TimeoutPolicies, and tells those of routes. The oldest wins. */
export function readTimeoutPolicies(
  inventory: Inventory,
  services: ServiceEntries,
  report: Report,
  statuses: ObjectStatus[],
): RuleTimeoutsOf {
  const policiesOf = attachToPortsOrRoutes(
    inventory.all('TimeoutPolicy'),
    {
      fits: (_policy, { protocol }) => protocol !== 'tcp',
      refuse(policy, target) {
        const message = `${target} speaks tcp, which has no requests`;
        report('MW1320', policy, { message, hint: 'limit its silence with tcpIdleTimeout of the Mesh' });
        return { holds: false, reason: 'Invalid', message };
      },
      attach(policy, port) {
        port.timeouts = toTimeouts(policy);
      },
    },
    inventory,
    services,
    report,
    statuses,
  );
  return (route, rule) => {
    const { ofRoute, ofRule } = policiesOf(route, rule);
    return { ...toTimeouts(ofRoute), ...toTimeouts(ofRule) };
  };
}

function toTimeouts(policy: TimeoutPolicyObject | undefined): Timeouts {
  if (!policy) return {};
  const stated = timeLimits.filter((limit) => policy.spec[limit] !== undefined);
  return Object.fromEntries(stated.map((limit) => [limit, parseDuration(policy.spec[limit]!)]));
}
