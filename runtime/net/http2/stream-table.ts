const smallest = 16;

/**
 * The open streams of a connection by their ids, in a hash table with linear probing.
 *
 * Not a Map: what a Map leaves behind when it compacts after deletions points to what follows it. Once one such table has
 * become old, the garbage collector keeps all later ones, with the exchanges that were in them, until it next collects
 * all of the heap; with a stream for each request that is every few milliseconds another table, and pauses of 20 ms.
 */
export class StreamTable<S extends { readonly id: number }> {
  size = 0;
  #slots: (S | undefined)[] = emptySlots(smallest);

  get(id: number): S | undefined {
    return this.#slots[this.#find(id)];
  }

  /** The stream is not there yet. */
  add(stream: S): void {
    if (++this.size * 2 > this.#slots.length) this.#grow();
    this.#slots[this.#find(stream.id)] = stream;
  }

  /** False when it is not there. */
  delete(id: number): boolean {
    const slots = this.#slots;
    let gap = this.#find(id);
    if (slots[gap] === undefined) return false;
    this.size--;
    const mask = slots.length - 1;
    for (let at = (gap + 1) & mask; slots[at] !== undefined; at = (at + 1) & mask) {
      // What could not lie in the gap, as its search begins behind it, stays.
      const home = homeOf(slots[at]!.id, mask);
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      slots[gap] = slots[at];
      gap = at;
    }
    slots[gap] = undefined;
    return true;
  }

  clear(): void {
    this.size = 0;
    this.#slots = emptySlots(smallest);
  }

  /** In no order; what is opened or ended meanwhile does not show. */
  values(): S[] {
    return this.#slots.filter((stream) => stream !== undefined);
  }

  /** Where the stream is, or else would be. */
  #find(id: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let at = homeOf(id, mask);
    while (slots[at] !== undefined && slots[at]!.id !== id) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const streams = this.values();
    this.#slots = emptySlots(this.#slots.length * 2);
    for (const stream of streams) this.#slots[this.#find(stream.id)] = stream;
  }
}

/** All streams of a connection are opened by one side, so that every other id is used. */
function homeOf(id: number, mask: number): number {
  return (id >>> 1) & mask;
}

function emptySlots<S>(length: number): (S | undefined)[] {
  return new Array<S | undefined>(length).fill(undefined);
}
