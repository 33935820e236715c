/*
 * What arrives is bytes, and is held as text of one character a byte (latin1). What people configure is Unicode; on the
 * wire that is UTF-8 (RFC 3986 section 2.5; for header values what clients send today).
 */

const beyondAscii = /[^\0-\x7f]/;
const encoder = new TextEncoder();
// A byte order mark is bytes as any others.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** A configured text in the form in which requests have it: its UTF-8 bytes, a character each. */
export function toWire(text: string): string {
  return beyondAscii.test(text) ? String.fromCharCode(...encoder.encode(text)) : text;
}

/** What people read in a text of the wire. Bytes that are no UTF-8 become U+FFFD, which nobody configures. */
export function fromWire(text: string): string {
  return beyondAscii.test(text) ? decoder.decode(Uint8Array.from(text, (byte) => byte.charCodeAt(0))) : text;
}

/** A configured path in the form of paths, which are ASCII. */
export function toWirePath(path: string): string {
  return path.replace(/[^\0-\x7f]+/g, (part) => encodeURIComponent(part.toWellFormed()));
}
