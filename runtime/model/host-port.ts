/** `host:port`, an IPv6 address in brackets. */
export function formatHostPort({ host, port }: { readonly host: string; readonly port: number | string }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
