import { PortAllocator } from '../../runtime/local/ports.ts';

const allocator = new PortAllocator(Math.random);

/** Ports of loopback that are free now, all different, and that no outgoing connection of the load takes. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await allocator.take());
  return ports;
}
