import type { IConstruct } from 'constructs';
import { isNetwork, type MeshObject, maxTrustedProxies } from '../runtime/resources/index.ts';
import { isUnknown } from './placeholder.ts';
import type { Check } from './synth/check.ts';
import { quote } from './synth/rules.ts';

/** What is believed of callers without identity: clients of gateways, and who sends plain text to a permissive port. */
export interface StrangerProps {
  /**
   * Networks (`10.0.0.0/8`, `fd00::/8`) of proxies outside the mesh, at most 64. What callers from there say of their own
   * clients (`x-forwarded-for`, `-proto`, `-host`, `-port`, `forwarded`, `x-real-ip`) is passed on.
   * @default - none: what strangers say of that is removed
   */
  readonly trustedProxies?: readonly string[];

  /**
   * What gateways do with fields that have `_` in their names: many applications (CGI, WSGI, PHP) cannot tell it from `-`,
   * so that `x_user` passes a rule that removes `x-user`.
   * @default 'drop'
   */
  readonly underscores?: 'drop' | 'keep';
}

/** As the Mesh object has them. */
export function formatStrangers({
  trustedProxies = [],
  underscores,
}: StrangerProps): NonNullable<MeshObject['spec']['strangers']> {
  return {
    ...(trustedProxies.length > 0 && { trustedProxies: [...trustedProxies] }),
    ...(underscores && { underscores: underscores === 'keep' ? 'Keep' : 'Drop' }),
  };
}

/** Reports networks that are none, and too many. */
export function checkStrangers(check: Check, mesh: IConstruct, { trustedProxies = [] }: StrangerProps): void {
  const hint = 'write networks such as 10.0.0.0/8 or fd00::/8; one address is 10.1.2.3/32';
  for (const network of trustedProxies) {
    if (isUnknown(network) || isNetwork(network)) continue;
    check.report('MW1323', mesh, `trusted proxy ${quote(network)} is no network`, hint);
  }
  if (trustedProxies.length <= maxTrustedProxies) return;
  const message = `there are ${trustedProxies.length} networks of trusted proxies; allowed are ${maxTrustedProxies}`;
  check.report('MW1323', mesh, message, 'name larger networks');
}
