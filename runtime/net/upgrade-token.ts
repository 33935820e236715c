/** Protocol name with optional version (RFC 9110 section 7.8). */
const form = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:\/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?$/;
/** What two neighbours agree on for their own connection. */
const ofOneHop = /^(?:h2c?|s?https?|tls)(?:\/|$)/i;

/** Whether this names a protocol that a proxy may ask the next hop for. */
export function isUpgradeToken(text: string): boolean {
  return form.test(text) && !ofOneHop.test(text);
}
