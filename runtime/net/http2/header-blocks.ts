import type { HeaderList, HttpLimits } from '../http.ts';
import { ConnectionError, ErrorCode, Flag, frameSizeError, protocolError } from './frame.ts';
import { HpackDecoder } from './hpack/decoder.ts';

const maxContinuations = 8;
/** Fields that are no header fields: method, scheme, authority, path, protocol. */
const maxPseudoFields = 5;

/** What is wrong with a header list, if anything. */
export type HeadFault = 'malformed' | 'too large' | undefined;

/** Takes what the HEADERS frames of a stream say. */
export interface HeadSink {
  onHead(streamId: number, fields: HeaderList, endStream: boolean, fault: HeadFault): void;
}

/** A header block that CONTINUATION frames go on with. */
interface PartialBlock {
  readonly streamId: number;
  readonly endStream: boolean;
  readonly fragments: Buffer[];
  bytes: number;
}

/** Puts header blocks together and decodes them. */
export class HeaderBlocks {
  readonly #sink: HeadSink;
  readonly #decoder: HpackDecoder;
  readonly #maxBytes: number;
  #partial: PartialBlock | undefined;

  constructor(sink: HeadSink, limits: HttpLimits, tableSize: number) {
    this.#sink = sink;
    this.#maxBytes = limits.maxHeadBytes * 2;
    this.#decoder = new HpackDecoder({
      tableSize,
      maxListSize: limits.maxHeadBytes,
      maxFields: limits.maxHeaders + maxPseudoFields,
    });
  }

  /** A block has begun: only its CONTINUATION may follow. */
  get open(): boolean {
    return this.#partial !== undefined;
  }

  get held(): number {
    return this.#partial?.bytes ?? 0;
  }

  onHeaders(flags: number, streamId: number, payload: Buffer, start: number, end: number): void {
    let from = start;
    let to = end;
    if (flags & Flag.Padded) {
      if (from === to) throw frameSizeError('a padded frame without padding');
      to -= payload[from++];
    }
    if (flags & Flag.Priority) {
      if (to - from < 5) throw frameSizeError('HEADERS is too short');
      rejectSelfDependency(streamId, payload, from);
      from += 5;
    }
    if (from > to) throw protocolError('more padding than payload');
    const endStream = (flags & Flag.EndStream) !== 0;
    if (flags & Flag.EndHeaders) {
      this.#decode(streamId, payload, from, to, endStream);
    } else {
      const fragment = Buffer.from(payload.subarray(from, to));
      this.#partial = { streamId, endStream, fragments: [fragment], bytes: fragment.length };
    }
  }

  onContinuation(flags: number, streamId: number, payload: Buffer, start: number, end: number): void {
    const partial = this.#partial;
    if (!partial || partial.streamId !== streamId) throw protocolError('CONTINUATION without HEADERS');
    partial.fragments.push(Buffer.from(payload.subarray(start, end)));
    partial.bytes += end - start;
    if (partial.fragments.length > maxContinuations + 1 || partial.bytes > this.#maxBytes) {
      throw new ConnectionError(ErrorCode.EnhanceYourCalm, 'a header block without end');
    }
    if ((flags & Flag.EndHeaders) === 0) return;
    this.#partial = undefined;
    this.#decode(streamId, Buffer.concat(partial.fragments), 0, partial.bytes, partial.endStream);
  }

  #decode(streamId: number, block: Buffer, start: number, end: number, endStream: boolean): void {
    const decoder = this.#decoder;
    const fields = decoder.decode(block, start, end);
    const fault = decoder.overflow ? 'too large' : decoder.malformed ? 'malformed' : undefined;
    this.#sink.onHead(streamId, fields, endStream, fault);
  }
}

/** Priorities are not used, but a stream that depends on itself is a fault still (RFC 7540 section 5.3.1). */
export function rejectSelfDependency(streamId: number, payload: Buffer, at: number): void {
  if ((payload.readUInt32BE(at) & 0x7fff_ffff) === streamId) throw protocolError('a stream depends on itself');
}
