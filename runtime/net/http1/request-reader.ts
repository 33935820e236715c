import type { HttpLimits } from '../http.ts';
import { readLatin1 } from '../latin1.ts';
import { checkPartialHead, findHeadEnd, HeadParser } from './head-parser.ts';
import type { Inbox } from './inbox.ts';

const carriageReturn = 13;
const lineFeed = 10;

/** The head is not complete yet. */
export const incomplete = -1;

/** Takes the heads of requests out of what came. */
export class RequestReader {
  /** Holds the last head. */
  readonly parser: HeadParser;
  readonly #limits: HttpLimits;
  readonly #scheme: 'http' | 'https';
  #skippedLine = false;

  constructor(limits: HttpLimits, scheme: 'http' | 'https') {
    this.parser = new HeadParser(limits);
    this.#limits = limits;
    this.#scheme = scheme;
  }

  /** Returns 0 for a head, {@link incomplete}, or the status that answers what is none; only a head is taken out. */
  read(inbox: Inbox): number {
    const { bytes } = inbox;
    // RFC 9112 section 2.2: an empty line may precede a request.
    if (!this.#skippedLine && bytes[inbox.at] === carriageReturn) {
      if (inbox.at + 1 === bytes.length) return incomplete;
      if (bytes[inbox.at + 1] === lineFeed) {
        this.#skippedLine = true;
        inbox.at += 2;
        if (inbox.isEmpty) return incomplete;
      }
    }
    const start = inbox.at;
    const end = findHeadEnd(bytes, start);
    if (end < 0) return checkPartialHead(bytes, start, this.#limits) || incomplete;
    if (end - start > this.#limits.maxHeadBytes) return 431;
    const status = this.parser.parseRequest(readLatin1(bytes, start, end), this.#scheme);
    if (status !== 0) return status;
    inbox.at = end + 4;
    this.#skippedLine = false;
    return 0;
  }
}
