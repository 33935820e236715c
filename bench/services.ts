import { type Mesh, Port, Service } from 'meshwright';

/** Adds services that are measured by the thousand: each with a workload, and calling two others. */
export function addServices(mesh: Mesh, count: number) {
  const services = Array.from(
    { length: count },
    (_, index) =>
      new Service(mesh, `service-${index}`, {
        ports: { http: Port.http(8080) },
        workload: { image: 'example/service:1', env: { INDEX: String(index) } },
      }),
  );
  for (const [index, service] of services.entries()) {
    service.calls(services[(index + 1) % count], services[(index + 7) % count]);
  }
  return services;
}
