/** Bytes of unfinished heads that all connections of a process hold together. */
const budget = 16_777_216;
/** So much each connection has beyond that: what ordinary clients need. */
const own = 4096;

let total = 0;

/**
 * What one connection holds of a head that has not come to its end. One head has its limit, and so has its time; but
 * thousands of connections that begin long heads must not take all the memory there is meanwhile.
 */
export class UnfinishedHead {
  #bytes = 0;

  /** So many bytes are held now; false where the connection must go, since there is no room for them. */
  hold(bytes: number): boolean {
    if (bytes === this.#bytes) return true;
    total += bytes - this.#bytes;
    this.#bytes = bytes;
    return bytes <= own || total <= budget;
  }
}
