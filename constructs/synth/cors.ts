import type { IConstruct } from 'constructs';
import { isUnknown } from '../placeholder.ts';
import type { CorsProps } from '../route-rule.ts';
import type { Check } from './check.ts';
import { reportLiteral } from './outputs.ts';
import { checkHeaderName, quote } from './rules.ts';

const origin = /^https?:\/\/(?:(?:\*\.)?(?:[a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(?::([0-9]{1,5}))?$/;
const methods: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'];
const maxAges = 2 ** 31 - 1;
/** Of the Gateway API. */
const longestList = 64;

/** Reports what is wrong with the CORS setting of a rule. */
export function checkCors(check: Check, route: IConstruct, label: string, cors: CorsProps): void {
  const refuse = (message: string, hint: string) => check.report('MW1200', route, `${label}: ${message}`, hint);
  const { allowOrigins, allowMethods, allowHeaders, exposeHeaders, maxAge } = cors;
  if (allowOrigins.length === 0) {
    refuse('allowOrigins is empty, so that no page may call', "name the origins, or leave `cors` out; '*' allows all");
  }
  for (const [field, values = []] of Object.entries({ allowOrigins, allowMethods, allowHeaders, exposeHeaders })) {
    if (values === '*') continue;
    if (values.length > longestList) {
      refuse(`${field} has ${values.length} entries; allowed are up to ${longestList}`, "shorten it, or use '*'");
    }
    if ((values as readonly string[]).includes('*')) {
      refuse(`${field} has '*' in a list; it stands for all`, `write ${field}: '*'`);
    }
    const twice = (values as readonly string[]).find((value, index) => values.indexOf(value as never) !== index);
    if (twice !== undefined) refuse(`${field} has ${quote(twice)} twice`, 'name it once');
  }
  for (const each of allowOrigins === '*' ? [] : allowOrigins) {
    const port = Number(origin.exec(each)?.[1] ?? 1);
    if (isUnknown(each) || (origin.test(each) && port >= 1 && port <= 65535)) continue;
    refuse(
      `${quote(each)} is no origin; allowed are a scheme, http or https, a host and a port, without a path`,
      "write it as browsers do: 'https://shop.example', 'https://*.shop.example' or 'http://localhost:3000'",
    );
  }
  for (const method of allowMethods === '*' ? [] : (allowMethods ?? [])) {
    if (isUnknown(method) || methods.includes(method)) continue;
    refuse(`${quote(method)} is no method; allowed are ${methods.join(', ')}`, 'methods are in upper case');
  }
  for (const name of allowHeaders === '*' ? [] : (allowHeaders ?? [])) {
    checkHeaderName(check, route, `${label}: cors.allowHeaders`, name);
  }
  for (const name of exposeHeaders === '*' ? [] : (exposeHeaders ?? [])) {
    checkHeaderName(check, route, `${label}: cors.exposeHeaders`, name);
  }
  if (!maxAge) return;
  const seconds = maxAge.toSeconds({ integral: false });
  if (Number.isNaN(seconds)) reportLiteral(check, route, `${label}: cors.maxAge`);
  else if (!Number.isInteger(seconds) || seconds < 1 || seconds > maxAges) {
    refuse(`cors.maxAge is ${seconds} s; allowed are whole seconds from 1 to ${maxAges}`, 'use Duration.hours(1)');
  }
}
