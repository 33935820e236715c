import type { IConstruct } from 'constructs';
import { apiVersions } from '../../runtime/resources/index.ts';
import { ExistingService } from '../existing-service.ts';
import { renderPorts } from '../service-ports.ts';

/** The Services that the tree only refers to, as the cluster would have them. */
export function existingServices(root: IConstruct): readonly unknown[] {
  return root.node.findAll().flatMap((construct) => {
    if (!(construct instanceof ExistingService)) return [];
    const { namespace, serviceName, versions, ports } = construct;
    return [serviceName, ...versions.map((version) => version.serviceName)].map((name) => ({
      apiVersion: apiVersions.core,
      kind: 'Service',
      metadata: { name, namespace },
      spec: { ports: renderPorts(ports).map((port) => ({ ...port, targetPort: port.targetPort?.value })) },
    }));
  });
}
