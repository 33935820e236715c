import type { Protocol } from '../model/index.ts';
import type { ConnectionPool } from '../net/index.ts';
import type { PeerAddress, PeerLink } from './peer-link.ts';

interface Entry {
  readonly pool: ConnectionPool;
  users: number;
}

/** Pools by peer, shared by all services that the same endpoint belongs to, and closed when none names it any more. */
export class Pools {
  #link: PeerLink;
  #entries = new Map<string, Entry>();

  constructor(link: PeerLink) {
    this.#link = link;
  }

  acquire(peer: PeerAddress, protocol: Protocol): ConnectionPool {
    const key = poolKey(peer, protocol);
    let entry = this.#entries.get(key);
    if (!entry) {
      entry = { pool: this.#link.pool(peer, protocol), users: 0 };
      this.#entries.set(key, entry);
    }
    entry.users++;
    return entry.pool;
  }

  /** Requests under way finish; the connections then close. */
  release(peer: PeerAddress, protocol: Protocol): void {
    const key = poolKey(peer, protocol);
    const entry = this.#entries.get(key);
    if (!entry || --entry.users > 0) return;
    this.#entries.delete(key);
    entry.pool.drain();
  }

  /** Ends what is still open: at the end of the proxy. */
  destroy(): void {
    for (const { pool } of this.#entries.values()) pool.destroy();
  }
}

function poolKey(peer: PeerAddress, protocol: Protocol): string {
  return `${protocol} ${peer.host} ${peer.port} ${peer.identity ?? ''}`;
}
