const noBytes = Buffer.alloc(0);

/** Bytes received and not read yet. What outlives a read event is copied: the read buffer belongs to the connection. */
export class Inbox {
  bytes: Buffer = noBytes;
  /** Where reading goes on. */
  at = 0;
  #owned = true;

  get isEmpty(): boolean {
    return this.at >= this.bytes.length;
  }

  add(chunk: Buffer): void {
    this.#owned = !this.isEmpty;
    this.bytes = this.isEmpty ? chunk : Buffer.concat([this.bytes.subarray(this.at), chunk]);
    this.at = 0;
  }

  /** What was not read yet, as latin1. */
  get text(): string {
    return this.bytes.toString('latin1', this.at);
  }

  /** Keeps the rest beyond the read event. */
  keep(): void {
    if (this.isEmpty) this.clear();
    else if (!this.#owned) {
      this.bytes = this.copyRest();
      this.at = 0;
      this.#owned = true;
    }
  }

  copyRest(): Buffer {
    return Buffer.from(this.bytes.subarray(this.at));
  }

  clear(): void {
    this.bytes = noBytes;
    this.at = 0;
    this.#owned = true;
  }
}
