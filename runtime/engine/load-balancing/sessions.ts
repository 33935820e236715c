import type { SessionCookie } from '../../model/index.ts';
import type { Algorithm } from './picker.ts';

/** Leads a request back to the endpoint whose id it brings as its key; one that brings none may go anywhere. */
export function returning(inner: Algorithm): Algorithm {
  return (states) => {
    const byId = new Map(states.map((state) => [state.id, state]));
    const first = inner(states);
    return {
      pick(key, exclude) {
        const known = key === undefined ? undefined : byId.get(key);
        return known && !exclude?.has(known) ? known : first.pick(undefined, exclude);
      },
      shares(key) {
        const known = key === undefined ? undefined : byId.get(key);
        return known ? new Map([[known, 1]]) : first.shares(undefined);
      },
    };
  };
}

/** The `set-cookie` that makes a client come back to the endpoint with this id (RFC 6265). */
export function sessionCookie({ name, path, maxAge, sameSite, secure }: SessionCookie, id: string): string {
  const age = maxAge === undefined ? '' : `; Max-Age=${maxAge}`;
  return `${name}=${id}; Path=${path}${age}; HttpOnly; SameSite=${sameSite}${secure ? '; Secure' : ''}`;
}
