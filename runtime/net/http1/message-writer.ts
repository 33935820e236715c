import { isFieldValue, parseDigits } from '../field-value.ts';
import type { HeaderList, RequestHead, ResponseHead } from '../http.ts';
import type { Output } from '../output.ts';
import { FieldRole, isAuthority, isFieldName, isMethod, isTarget, knownField } from './fields.ts';
import { HeadWriter } from './head-writer.ts';
import { statusLine } from './status-line.ts';
import type { UpgradeOffer, UpgradeRequest } from './upgrade.ts';

const Framing = { none: 0, length: 1, chunked: 2, untilClose: 3 } as const;

const slash = 47;
const methodsWithBody = new Set(['POST', 'PUT', 'PATCH']);
/** Characters of a head besides its fields, its target and what goes with an upgrade; and of a field besides its own. */
const headOverhead = 256;
const fieldOverhead = 32;

const writer = new HeadWriter();

/** What the response writer must know of the exchange. */
export interface ResponseContext {
  readonly isHead: boolean;
  readonly isHttp10: boolean;
  readonly close: boolean;
}

/**
 * Writes messages, choosing how each body is framed. Whatever would let a value break out of its place (line ends,
 * NUL, a body longer than its length) is refused, since heads may come from a peer that spoke HTTP/2.
 */
export class MessageWriter {
  readonly #output: Output;
  #framing: number = Framing.none;
  #remaining = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Only the end of the connection ends the body being written. */
  get endsWithConnection(): boolean {
    return this.#framing === Framing.untilClose;
  }

  /** Writes a request head; false, and nothing written, when it is not valid. With `offer`, no body follows. */
  request(head: RequestHead, end: boolean, offer: UpgradeOffer | undefined): boolean {
    const { method, authority, path } = head;
    if (!isMethod(method) || method === 'CONNECT' || !isPath(path)) return false;
    if (authority !== '' && !isAuthority(authority)) return false;
    const offered = offer?.fields ?? '';
    begin(head.headers, method.length + path.length + authority.length + offered.length);
    writer.text(method);
    writer.text(' ');
    writer.text(path);
    writer.text(' HTTP/1.1\r\nhost: ');
    writer.text(authority);
    writer.text('\r\n');
    if (!this.#fields(head.headers, false)) return false;
    if (offer !== undefined) {
      if (this.#remaining > 0) return false;
      writer.text(offered);
    } else if (this.#framing === Framing.none && end) {
      if (methodsWithBody.has(method)) writer.text('content-length: 0\r\n');
    } else if (this.#framing === Framing.none) {
      this.#framing = Framing.chunked;
      writer.text('transfer-encoding: chunked\r\n');
    } else if (end && this.#remaining > 0) return false;
    this.#endHead();
    return true;
  }

  /** Writes a final response head; false, and nothing written, when it is not valid. */
  response(head: ResponseHead, end: boolean, context: ResponseContext): boolean {
    const { status } = head;
    if (!(status >= 200 && status <= 999)) return false;
    begin(head.headers);
    writer.text(statusLine(status));
    if (!this.#fields(head.headers, status === 204)) return false;
    let { close } = context;
    if (context.isHead || status === 204 || status === 304) this.#framing = Framing.none;
    else if (this.#framing === Framing.length) {
      if (end && this.#remaining > 0) return false;
    } else if (end) writer.text('content-length: 0\r\n');
    else if (context.isHttp10) {
      this.#framing = Framing.untilClose;
      close = true;
    } else {
      this.#framing = Framing.chunked;
      writer.text('transfer-encoding: chunked\r\n');
    }
    if (close) writer.text('connection: close\r\n');
    else if (context.isHttp10) writer.text('connection: keep-alive\r\n');
    this.#endHead();
    return true;
  }

  /** Writes a 1xx head; false, and nothing written, when it is not valid. */
  informational(head: ResponseHead): boolean {
    if (!(head.status >= 100 && head.status < 200) || head.status === 101) return false;
    begin(head.headers);
    writer.text(statusLine(head.status));
    if (!this.#fields(head.headers, true)) return false;
    this.#endHead();
    return true;
  }

  /** Writes 101: what follows is the tunnel's. False, and nothing written, when it is not valid. */
  switching({ headers }: ResponseHead, upgrade: UpgradeRequest): boolean {
    const answer = upgrade.accept(headers);
    begin(headers, answer.length);
    writer.text(statusLine(101));
    if (!this.#fields(headers, true)) return false;
    writer.text(answer);
    this.#endHead();
    this.beginTunnel();
    return true;
  }

  /** Bytes pass as they are from now on. */
  beginTunnel(): void {
    this.#framing = Framing.untilClose;
  }

  /** Writes a part of the body; false when it exceeds the length the head promised. */
  body(chunk: Buffer): boolean {
    const { length } = chunk;
    if (length === 0) return true;
    switch (this.#framing) {
      case Framing.none:
        return true;
      case Framing.length:
        if (length > this.#remaining) return false;
        this.#remaining -= length;
        this.#output.bytes(chunk);
        return true;
      case Framing.chunked:
        this.#output.text(`${length.toString(16)}\r\n`);
        this.#output.bytes(chunk);
        this.#output.text('\r\n');
        return true;
      default:
        this.#output.bytes(chunk);
        return true;
    }
  }

  /** Ends the body; false when it is shorter than promised or the trailers are not valid. */
  end(trailers: HeaderList | undefined): boolean {
    if (this.#framing === Framing.length) return this.#remaining === 0;
    if (this.#framing !== Framing.chunked) return true;
    if (trailers === undefined) {
      this.#output.text('0\r\n\r\n');
      return true;
    }
    begin(trailers);
    writer.text('0\r\n');
    if (!this.#fields(trailers, true)) return false;
    this.#endHead();
    return true;
  }

  #endHead(): void {
    writer.text('\r\n');
    this.#output.text(writer.take());
  }

  /** Writes field lines without those of the hop, noting the length; false when one is not valid. */
  #fields(headers: HeaderList, dropLength: boolean): boolean {
    this.#framing = Framing.none;
    this.#remaining = 0;
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i];
      const value = headers[i + 1];
      const field = knownField(name);
      if (field === undefined) {
        if (!isFieldName(name)) return false;
      } else if (field.role !== FieldRole.ordinary) {
        if (field.role === FieldRole.te) writer.text('connection: te\r\n');
        else if (field.role === FieldRole.contentLength) {
          const length = parseDigits(value);
          if (length < 0 || this.#framing === Framing.length) return false;
          if (dropLength) continue;
          this.#framing = Framing.length;
          this.#remaining = length;
        } else if (field.role !== FieldRole.expect) {
          if (!isFieldValue(value)) return false;
          continue;
        }
      }
      writer.text(name);
      writer.text(': ');
      if (!writer.value(value)) return false;
      writer.text('\r\n');
    }
    return true;
  }
}

/** `more`: characters besides the fields and what every head has. */
function begin(headers: HeaderList, more = 0): void {
  let bound = headOverhead + more + headers.length * fieldOverhead;
  for (let i = 0; i < headers.length; i++) bound += headers[i].length;
  writer.begin(bound);
}

function isPath(path: string): boolean {
  return path === '*' || (path.charCodeAt(0) === slash && isTarget(path));
}

/** A whole response without a body that closes the connection. */
export function closingResponse(status: number): string {
  return `${statusLine(status)}content-length: 0\r\nconnection: close\r\n\r\n`;
}
