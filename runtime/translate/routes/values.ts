import type { HeaderModifier, PathModifier } from '../../resources/index.ts';

/** RFC 9110 field values: no line ends, NUL or other control characters, and no white space around. Sent as UTF-8. */
const fieldValue = /^[!-~\x80-\uffff](?:[\t -~\x80-\uffff]*[!-~\x80-\uffff])?$/;
/** Printable ASCII without space, `?` and `#`: what can stand in a request line as a path. */
const plainPath = /^\/[!"$->@-~]*$/;

/** How a message is framed, and where it goes, is for the proxy to write (RFC 9113 section 8.2.2). */
const reserved: ReadonlyMap<string, string> = new Map([
  ...[
    'connection',
    'content-length',
    'keep-alive',
    'proxy-connection',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
  ].map((name) => [name, 'a proxy writes it itself'] as const),
  ['host', 'use a URLRewrite with a hostname'],
]);

/** Why changes of headers cannot be carried out. One that a proxy could not send would take its whole request with it. */
export function headerProblem({ set = [], add = [], remove = [] }: HeaderModifier): string | undefined {
  for (const name of [...set, ...add].map((header) => header.name).concat(remove)) {
    const instead = reserved.get(name.toLowerCase());
    if (instead) return `header ${name} cannot be changed: ${instead}`;
  }
  const bad = [...set, ...add].find(({ value }) => !fieldValue.test(value));
  // The value itself may be a secret.
  if (!bad) return undefined;
  return `the value of header ${bad.name} cannot be sent: it has line ends, control or other characters that no header may have, or spaces around it`;
}

/** Why a path cannot be replaced like this. */
export function pathProblem(path: PathModifier | undefined): string | undefined {
  const value = path?.replaceFullPath ?? path?.replacePrefixMatch ?? '';
  if (value === '' || plainPath.test(value)) return undefined;
  return `path ${JSON.stringify(value)} cannot be sent: it must begin with / and have no spaces, line ends, ? and #; others than ASCII are written as %-escapes`;
}
