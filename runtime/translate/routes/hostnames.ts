/**
 * The host names for which both a listener and a route hold, as Gateway API defines: a wildcard stands for one or
 * more labels, no name at all for every host. Empty where they have none in common.
 */
export function intersectHostnames(listener: string | undefined, route: readonly string[] = []): string[] {
  if (!route.length) return [listener ?? '*'];
  if (listener === undefined) return [...route];
  const common = new Set<string>();
  for (const hostname of route) {
    if (covers(listener, hostname)) common.add(hostname);
    else if (covers(hostname, listener)) common.add(listener);
  }
  return [...common];
}

/** Whether every host of `narrow` is one of `wide`. */
function covers(wide: string, narrow: string): boolean {
  return wide === narrow || (wide.startsWith('*.') && narrow.endsWith(wide.slice(1)));
}
