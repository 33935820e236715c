import type { IConstruct } from 'constructs';
import type { ITarget, RouteParent } from '../interfaces.ts';
import { nameBelowMesh, namespaceAt } from '../metadata.ts';
import { isUnknown } from '../placeholder.ts';
import type { Check } from './check.ts';
import { checkParent, checkTargets } from './route-rules.ts';
import { checkHostname, checkObjectName, claimObject, quote } from './rules.ts';

interface CheckedTlsRoute {
  readonly parent: RouteParent;
  readonly hostnames: readonly string[];
  readonly to: ITarget | readonly ITarget[];
}

/** Reports what is wrong with a TLSRoute, and servers that another one has already. */
export function checkTlsRoute(check: Check, route: IConstruct, { parent, hostnames, to }: CheckedTlsRoute): void {
  const name = nameBelowMesh(route);
  const kind = { parent, kind: 'TLSRoute', protocols: ['tcp'], listeners: 'tls' } as const;
  checkObjectName(check, route, 'route name', name);
  claimObject(check, route, 'TLSRoute', namespaceAt(route), name);
  checkParent(check, route, kind);
  if (hostnames.length === 0) {
    check.report('MW1210', route, 'it names no server', "name at least one: hostnames: ['db.example.com']");
  }
  for (const hostname of hostnames) {
    checkHostname(check, route, hostname);
    if (isUnknown(hostname)) continue;
    for (const place of parent.places) {
      const owner = check.claim(`TLSRoute ${place} ${hostname}`, route);
      if (!owner) continue;
      check.report(
        'MW1211',
        route,
        `${owner.node.path} decides the connections to ${quote(hostname)} on ${place} already`,
        'name each server once',
      );
    }
  }
  checkTargets(check, route, 'it', { to }, kind);
}
