import type { Protocol } from '../model/index.ts';
import type { ConnectionPool } from '../net/index.ts';
import type { PeerAddress, PeerLink } from './peer-link.ts';

/** Whether one more connection may be made. */
export type ConnectionGate = () => boolean;

interface Entry {
  readonly pool: ConnectionPool;
  users: number;
  readonly gates: ConnectionGate[];
}

/** Pools by peer, shared by all services that the same endpoint belongs to, and closed when none names it any more. */
export class Pools {
  #link: PeerLink;
  #entries = new Map<string, Entry>();

  constructor(link: PeerLink) {
    this.#link = link;
  }

  /** The pool asks all gates of its users before it makes another connection. */
  acquire(peer: PeerAddress, protocol: Protocol, gate?: ConnectionGate): ConnectionPool {
    const key = poolKey(peer, protocol);
    let entry = this.#entries.get(key);
    if (!entry) {
      const gates: ConnectionGate[] = [];
      const mayConnect = () => gates.every((allows) => allows());
      entry = { pool: this.#link.pool(peer, protocol, mayConnect), users: 0, gates };
      this.#entries.set(key, entry);
    }
    entry.users++;
    if (gate) entry.gates.push(gate);
    return entry.pool;
  }

  /** Requests under way finish; the connections then close. */
  release(peer: PeerAddress, protocol: Protocol, gate?: ConnectionGate): void {
    const key = poolKey(peer, protocol);
    const entry = this.#entries.get(key);
    if (!entry) return;
    const index = gate ? entry.gates.indexOf(gate) : -1;
    if (index >= 0) entry.gates.splice(index, 1);
    if (--entry.users > 0) return;
    this.#entries.delete(key);
    entry.pool.drain();
  }

  /** Ends what is still open: at the end of the proxy. */
  destroy(): void {
    for (const { pool } of this.#entries.values()) pool.destroy();
  }
}

function poolKey(peer: PeerAddress, protocol: Protocol): string {
  return `${protocol} ${peer.host} ${peer.port} ${peer.identity ?? peer.appTls ?? ''}`;
}
