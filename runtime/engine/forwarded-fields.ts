const clientCertificate = 'x-forwarded-client-cert';

/** Fields by which proxies speak of callers: nobody without identity may set them. */
const forwardedFields = new Set([
  'forwarded',
  clientCertificate,
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-real-ip',
]);

/** What is believed of a caller without identity. */
export interface Trust {
  /** It is a proxy whose word on its own clients counts; who they are in the mesh it cannot say. */
  readonly forwarded: boolean;
  /** Names with `_` pass. */
  readonly underscores: boolean;
}

/** What is left of the fields of a caller without identity. */
export function fieldsOfStranger(headers: readonly string[], { forwarded, underscores }: Trust): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i];
    const passes = name.includes('_')
      ? underscores && !forwardedFields.has(withHyphens(name))
      : !forwardedFields.has(name) || (forwarded && name !== clientCertificate);
    if (passes) kept.push(name, headers[i + 1]);
  }
  return kept;
}

/** Where a request of a caller without identity came from, as its proxy knows. */
export interface Origin {
  /** Its address, without port. */
  readonly client: string;
  readonly scheme: string;
  readonly authority: string;
}

/** What is left of the fields of a caller without identity, and where it came from. */
export function admitFields(headers: readonly string[], { client, scheme, authority }: Origin, trust: Trust): string[] {
  const fields = fieldsOfStranger(headers, trust);
  const tell = (name: string, value: string) => {
    if (!trust.forwarded || !fields.some((each, index) => index % 2 === 0 && each === name)) fields.push(name, value);
  };
  tell('x-forwarded-for', client);
  tell('x-forwarded-proto', scheme);
  tell('x-forwarded-host', authority);
  return fields;
}

/** What is left of a list without the fields by which proxies speak of callers. */
export function withoutForwarded(headers: readonly string[]): string[] {
  return fieldsOfStranger(headers, { forwarded: false, underscores: true });
}

/**
 * A field's name as an application may read it: many (CGI, WSGI, PHP) cannot tell `_` from `-`, so that a field which
 * nobody may forge must not be forged in that spelling either.
 */
export function withHyphens(name: string): string {
  return name.includes('_') ? name.replaceAll('_', '-') : name;
}
