/** Leads the connections of a pod through its proxy: nftables rules, and what has the kernel take them. */
export { applyRules } from './apply.ts';
export { parseCidr } from './cidr.ts';
export { canaryAddress, defaultRedirect, type RedirectOptions, redirectRules } from './rules.ts';
