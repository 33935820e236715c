import type { ResponseHead } from '../http.ts';

/**
 * Where the application answers an upgrade with 200, as if it had not been asked for one. Here 200 would open the
 * tunnel (RFC 8441 section 4), so that 501 says no, and this field what the answer was.
 */
const statusField = 'meshwright-status';

/** What answers an extended CONNECT: any 2xx switches, so that only 101 may become one. */
export function answerToUpgrade({ status, headers }: ResponseHead): ResponseHead {
  if (status === 101) return { status: 200, headers };
  if (status >= 300) return { status, headers };
  return { status: 501, headers: [...headers, statusField, String(status)] };
}

/** What the answer to an extended CONNECT means to who asked for an upgrade. */
export function answerOfUpgrade({ status, headers }: ResponseHead): ResponseHead {
  if (status < 300) return { status: 101, headers };
  const at = status === 501 ? headers.findIndex((text, index) => index % 2 === 0 && text === statusField) : -1;
  if (at < 0 || !/^2\d\d$/.test(headers[at + 1])) return { status, headers };
  return { status: Number(headers[at + 1]), headers: headers.toSpliced(at, 2) };
}
