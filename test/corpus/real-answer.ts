import { expect } from '@jest/globals';
import type { AccessLogEntry } from '../../runtime/telemetry/index.ts';
import type { Expectation } from './corpus.ts';
import { named } from './foretell.ts';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

/** What proxies wrote of a request in their access logs. */
type Entry = Pick<AccessLogEntry, 'target' | 'route' | 'fault' | 'path' | 'authority'>;

/** Checks what the answer to a real request shows of what is expected. */
export function expectAnswer(wanted: Expectation, { status, headers, body }: Answer): void {
  if (wanted.status !== undefined) expect(status).toBe(wanted.status);
  else expect(headers['proxy-status']).toBeUndefined();
  if (wanted.location !== undefined) expect(headers.location).toBe(wanted.location);
  for (const part of namesIn(wanted.deniedBy)) expect(body).toContain(part);
  if (wanted.status !== undefined)
    for (const part of namesIn(wanted.fault)) expect(headers['proxy-status']).toContain(part);
  if (wanted.responseHeaders) expect(named(wanted.responseHeaders, headers)).toEqual(wanted.responseHeaders);
  if (wanted.allowOrigin !== undefined) {
    expect(headers['access-control-allow-origin'] ?? null).toBe(wanted.allowOrigin);
  }
}

/** Checks what the access log of its sender's proxy tells of it. */
export function expectLogged({ targets = {}, rule, fault }: Expectation, entry: Entry): void {
  expect(Object.keys(targets).map((name) => `shop/${name}`)).toContain(entry.target);
  if (rule !== undefined) expect(entry.route).toBe(rule);
  for (const part of namesIn(fault)) expect(entry.fault).toContain(part);
}

/** Checks what the access log of its target's proxy tells of it, which has no queries and no headers. */
export function expectArrived({ path, host }: NonNullable<Expectation['forwarded']>, entry: Entry): void {
  if (path !== undefined) expect(entry.path).toBe(path.split('?', 1)[0]);
  if (host !== undefined) expect(entry.authority).toBe(host);
}

/** `FaultPolicy shop/ratings-trouble down` names a policy and a part of it. */
function namesIn(reference: string | undefined): string[] {
  return reference?.split(/ (?=[^ ]+$)/) ?? [];
}
