/*
 * What stands in a tree for a value that is not known while the tree is built: an Output of Pulumi. It is text, also
 * where a number is asked for, so that it survives whatever constructs and patches do with it.
 */

const pattern = /<output:(\d+)(?::text)?>/g;
let issued = 0;

/** One more placeholder. They are numbered from 0. */
export function issuePlaceholder(): string {
  return `<output:${issued++}>`;
}

/** Whether there is any. Without, nothing needs to be searched. */
export function placeholdersIssued(): boolean {
  return issued > 0;
}

/** Whether a value is not known yet, as a whole or in part. What is not known cannot be checked. */
export function isUnknown(value: unknown): boolean {
  return issued > 0 && typeof value === 'string' && value.search(pattern) >= 0;
}

/** A number as text, which it stays when it is known. */
export function asText(value: number): string {
  return isUnknown(value) ? String(value).replace('>', ':text>') : String(value);
}

/** The literal parts of a text, and between them the numbers of its placeholders. */
export function splitAtPlaceholders(text: string): readonly (string | number)[] {
  const parts: (string | number)[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) parts.push(text.slice(end, match.index));
    parts.push(Number(match[1]));
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push(text.slice(end));
  return parts;
}

/** Whether a text is one placeholder and nothing else, so that what replaces it may be of any type. */
export function isWholePlaceholder(text: string): boolean {
  return /^<output:\d+>$/.test(text);
}
