const tab = 9;
const space = 32;
const del = 127;

export function isBlank(code: number): boolean {
  return code === space || code === tab;
}

/** No control characters but tab, and nothing that latin1 would truncate into one. */
export function isValueCharacter(code: number): boolean {
  return code < space ? code === tab : code !== del && code < 256;
}

export function isFieldValue(text: string, start = 0, end = text.length): boolean {
  // Twice as fast as a regular expression on values of this length.
  for (let i = start; i < end; i++) if (!isValueCharacter(text.charCodeAt(i))) return false;
  return true;
}

/** What digits alone say, such as a length or a status; -1 where there is anything else, or too many to be exact. */
export function parseDigits(value: string): number {
  if (value.length === 0 || value.length > 15) return -1;
  let number = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number;
}
