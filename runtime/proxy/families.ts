import { type HostPort, parseHostPort } from './bootstrap.ts';

type Listen = (address: { readonly host: string; readonly port: number }) => Promise<void>;

/** What stands for all addresses, and for loopback, in IPv4 and in IPv6. */
const allAddresses: Readonly<Record<string, string>> = { '0.0.0.0': '::' };
const loopback: Readonly<Record<string, string>> = { '127.0.0.1': '::1' };
const withoutIpv6 = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL']);

/** Listens on an address, and where it stands for all, on those of IPv6 as well. */
export function listenInBothFamilies(address: HostPort, listen: Listen): Promise<void> {
  return listenWithTwin(address, allAddresses, listen);
}

/** For redirected connections, which keep their family: one for loopback needs its twin, too. */
export function listenForRedirected(address: HostPort, listen: Listen): Promise<void> {
  return listenWithTwin(address, { ...allAddresses, ...loopback }, listen);
}

/** There may be no IPv6 here. */
async function listenWithTwin(
  address: HostPort,
  twins: Readonly<Record<string, string>>,
  listen: Listen,
): Promise<void> {
  const { host, port } = parseHostPort(address);
  await listen({ host, port });
  const twin = twins[host];
  if (!twin) return;
  try {
    await listen({ host: twin, port });
  } catch (error) {
    if (!withoutIpv6.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
