import type { Resource } from '../model/index.ts';
import type { ProxyStatus } from '../xds/server.ts';

/** A resource that proxies do not take. */
export interface Refusal {
  readonly resource: Resource;
  /** Which proxy says so, and why. */
  readonly message: string;
}

/** Which proxy refuses a resource and why, by kind and name: `service shop/reviews`. */
export type RefusalMessages = ReadonlyMap<string, string>;

const maxMessage = 1_024;

/** What proxies refuse now. Of several that refuse the same, the first by name speaks. */
export function readRefusals(proxies: readonly ProxyStatus[]): RefusalMessages {
  const messages = new Map<string, string>();
  for (const { id, subscriptions } of proxies.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
    for (const [kind, { rejected }] of Object.entries(subscriptions)) {
      for (const [name, { reason }] of Object.entries(rejected)) {
        const key = `${kind} ${name}`;
        if (!messages.has(key)) messages.set(key, `proxy ${id} refused it: ${reason}`.slice(0, maxMessage));
      }
    }
  }
  return messages;
}

/** The resources that are refused, of those there are. */
export function refusedOf(resources: readonly Resource[], messages: RefusalMessages): Refusal[] {
  if (messages.size === 0) return [];
  return resources.flatMap((resource) => {
    const message = messages.get(`${resource.kind} ${resource.name}`);
    return message === undefined ? [] : { resource, message };
  });
}
