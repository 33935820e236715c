/** Longer is no host name (RFC 1035); so the search for a wildcard has an end. */
const maxLength = 253;

/** What is said of a host name in lower case: of the name itself, else by the wildcard that has most of it. */
export function findByHost<T>(byHost: ReadonlyMap<string, T>, host: string): T | undefined {
  if (host.length > maxLength || host.startsWith('*')) return undefined;
  const exact = byHost.get(host);
  if (exact !== undefined) return exact;
  for (let dot = host.indexOf('.', 1); dot >= 0; dot = host.indexOf('.', dot + 1)) {
    const wildcard = byHost.get(`*${host.slice(dot)}`);
    if (wildcard !== undefined) return wildcard;
  }
  return undefined;
}
