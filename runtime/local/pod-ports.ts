import type { OutboundPort, PodPlan } from './plan.ts';
import type { PortAllocator } from './ports.ts';

/** The ports of 127.0.0.1 that stand for a pod's own address. They stay as long as the pod does. */
export interface PodPorts {
  readonly admin: number;
  /** The sidecar's HTTP forward proxy. */
  readonly proxy: number;
  /** `listen` is where peers reach the pod's port, `app` where the application itself listens. */
  readonly inbound: readonly { readonly port: number; readonly listen: number; readonly app: number }[];
  readonly outbound: readonly (OutboundPort & { readonly listen: number })[];
  readonly gateway: readonly { readonly port: number; readonly listen: number }[];
}

/** Chooses free ports. A gateway's first listener is given `gatewayPort` where there is one. */
export async function takePorts(
  plan: PodPlan,
  allocator: PortAllocator,
  gatewayPort: number | undefined,
): Promise<PodPorts> {
  const take = () => allocator.take();
  const inbound = async (port: number) => {
    const app = await take();
    return { port, app, listen: plan.inMesh ? await take() : app };
  };
  return {
    admin: await take(),
    proxy: await take(),
    inbound: await Promise.all((plan.gateway ? [] : plan.ports).map(inbound)),
    outbound: await Promise.all(plan.outbound.map(async (port) => ({ ...port, listen: await take() }))),
    gateway: await Promise.all(
      (plan.gateway ?? []).map(async (port, index) => ({
        port,
        listen: index === 0 && gatewayPort !== undefined ? gatewayPort : await take(),
      })),
    ),
  };
}

export function allPorts({ admin, proxy, inbound, outbound, gateway }: PodPorts): number[] {
  return [
    admin,
    proxy,
    ...inbound.flatMap(({ listen, app }) => [listen, app]),
    ...[...outbound, ...gateway].map(({ listen }) => listen),
  ];
}
