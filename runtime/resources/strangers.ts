import * as z from 'zod';

const network = new RegExp(`${z.regexes.cidrv4.source}|${z.regexes.cidrv6.source}`);

/** Whether a text is a network: `10.0.0.0/8`, `fd00::/8`. */
export function isNetwork(text: string): boolean {
  return network.test(text);
}

/** How many networks of trusted proxies a Mesh may name. */
export const maxTrustedProxies = 64;

/** What a Mesh may say of callers without identity. */
export const strangers = z
  .strictObject({
    trustedProxies: z
      .array(z.string().max(43).regex(network, 'must be a network, such as 10.0.0.0/8 or fd00::/8'))
      .max(maxTrustedProxies)
      .describe(
        'Networks of proxies outside the mesh. What callers from there say of their own clients (x-forwarded-for, -proto, -host, -port, forwarded, x-real-ip) is passed on; what others say of them is removed.',
      )
      .optional(),
    underscores: z
      .enum(['Drop', 'Keep'])
      .describe(
        'What gateways do with fields that have an underscore in their names, which many applications cannot tell from a hyphen. Drop where absent.',
      )
      .optional(),
  })
  .describe('What is believed of callers without identity: clients of gateways, and who sends plain text.');
