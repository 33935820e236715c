import type { Protocol, QualifiedName } from '../model/index.ts';
import type { GrpcRouteObject, HttpRouteObject, ServiceObject } from '../resources/index.ts';
import type { Grants } from './grants.ts';
import type { Inventory } from './inventory.ts';
import { isServiceRef, namespaceOfRef } from './references.ts';

/** What a Service's `appProtocol` says the port speaks; TLS that the app itself makes is opaque to the mesh. */
const appProtocols: Readonly<Record<string, Protocol>> = {
  http: 'http',
  'kubernetes.io/ws': 'http',
  http2: 'http2',
  'kubernetes.io/h2c': 'http2',
  grpc: 'grpc',
  tcp: 'tcp',
  https: 'tcp',
  'kubernetes.io/wss': 'tcp',
};

/** `undefined` for a word that is not known. */
export function protocolOf(appProtocol: string): Protocol | undefined {
  const word = appProtocol.toLowerCase();
  return Object.hasOwn(appProtocols, word) ? appProtocols[word] : undefined;
}

/** From `namespace/name:port` to the protocol that routes declare. */
export type DeclaredProtocols = ReadonlyMap<string, Protocol>;

export function portKey(service: QualifiedName, port: number): string {
  return `${service}:${port}`;
}

/**
 * A port without `appProtocol` to which a route is attached, or leads, speaks what the route speaks: so plain
 * Gateway API manifests work although a bare port means TCP. Only routes that may refer to the Service count.
 */
export function protocolsDeclaredByRoutes(inventory: Inventory, grants: Grants): DeclaredProtocols {
  const declared = new Map<string, Protocol>();
  const declare = (route: HttpRouteObject | GrpcRouteObject, service: ServiceObject | undefined, port?: number) => {
    const ports = service?.spec.ports ?? [];
    const number = port ?? (ports.length === 1 ? ports[0].port : undefined);
    if (!service || number === undefined) return;
    const key = portKey(`${service.metadata.namespace ?? 'default'}/${service.metadata.name}`, number);
    if (route.kind === 'GRPCRoute') declared.set(key, 'grpc');
    else if (!declared.has(key)) declared.set(key, 'http');
  };
  for (const route of [...inventory.all('HTTPRoute'), ...inventory.all('GRPCRoute')]) {
    const namespace = route.metadata.namespace ?? 'default';
    for (const ref of route.spec.parentRefs ?? []) {
      if (ref.kind !== 'Service' || namespaceOfRef(ref, route) !== namespace) continue;
      declare(route, inventory.find('Service', namespace, ref.name), ref.port);
    }
    for (const rule of route.spec.rules ?? []) {
      const mirrors = (rule.filters ?? []).flatMap((filter) => filter.requestMirror?.backendRef ?? []);
      for (const ref of [...(rule.backendRefs ?? []), ...mirrors]) {
        if (!isServiceRef(ref) || ref.port === undefined || !grants.permit(route, ref)) continue;
        declare(route, inventory.find('Service', namespaceOfRef(ref, route), ref.name), ref.port);
      }
    }
  }
  return declared;
}
