import type { IConstruct } from 'constructs';
import { isUnknown } from '../placeholder.ts';
import type { Check } from './check.ts';
import { reportLiteral } from './outputs.ts';

/*
 * What a single value must be, whatever construct it is in.
 */

const dnsLabel = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;
const namespaceLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const objectName = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const portName = /^(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$/;
const hostname = /^(?=.{1,253}$)(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const headerName = /^[A-Za-z0-9!#$%&'*+\-.^_|~]{1,256}$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const labelKey = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** Names of Services: RFC 1035, as they become host names. */
export function checkServiceName(check: Check, construct: IConstruct, what: string, name: string): void {
  if (dnsLabel.test(name) || isUnknown(name)) return;
  check.report(
    'MW1132',
    construct,
    `${what} ${quote(name)} is not a DNS label; allowed are up to 63 lower-case letters, digits and dashes, with a letter first`,
    `call it ${quote(asLabel(name))}`,
  );
}

export function checkNamespace(check: Check, construct: IConstruct, name: string): void {
  if (namespaceLabel.test(name) || isUnknown(name)) return;
  check.report(
    'MW1132',
    construct,
    `namespace ${quote(name)} is not a DNS label; allowed are up to 63 lower-case letters, digits and dashes`,
    `call it ${quote(asLabel(name))}`,
  );
}

export function checkObjectName(check: Check, construct: IConstruct, what: string, name: string): void {
  if (objectName.test(name) || isUnknown(name)) return;
  check.report(
    'MW1132',
    construct,
    `${what} ${quote(name)} is not a DNS name; allowed are lower-case letters, digits, dashes and dots`,
    `give the construct the id ${quote(asLabel(construct.node.id))}`,
  );
}

/** Claims the name of a Kubernetes object; two constructs with one name would overwrite each other. */
export function claimObject(check: Check, construct: IConstruct, kind: string, namespace: string, name: string): void {
  const owner = check.claim(`${kind} ${namespace}/${name}`, construct);
  if (!owner) return;
  check.report(
    'MW1133',
    construct,
    `${kind} ${namespace}/${name} is already made by ${owner.node.path}`,
    'give one of them another id',
  );
}

export function checkPortNumber(check: Check, construct: IConstruct, what: string, port: number): void {
  if ((Number.isInteger(port) && port >= 1 && port <= 65535) || isUnknown(port)) return;
  check.report(
    'MW1135',
    construct,
    `${what} is ${port}; allowed are whole numbers from 1 to 65535`,
    'use the number the service listens on',
  );
}

export function checkPortName(check: Check, construct: IConstruct, name: string): void {
  if (portName.test(name)) return;
  if (isUnknown(name)) {
    reportLiteral(check, construct, 'the name of a port');
    return;
  }
  check.report(
    'MW1136',
    construct,
    `port name ${quote(name)} is invalid; allowed are up to 15 lower-case letters, digits and single dashes, with at least one letter`,
    `call it ${quote(asLabel(name).slice(0, 15))}`,
  );
}

export function checkHostname(check: Check, construct: IConstruct, name: string): void {
  if (hostname.test(name) || isUnknown(name)) return;
  check.report(
    'MW1250',
    construct,
    `host name ${quote(name)} is invalid; allowed are lower-case DNS names, with *. in front for all names below one`,
    'write it without scheme, port and path',
  );
}

export function checkHeaderName(check: Check, construct: IConstruct, place: string, name: string): void {
  if (headerName.test(name) || isUnknown(name)) return;
  check.report(
    'MW1242',
    construct,
    `${place}: header name ${quote(name)} is invalid; allowed are letters, digits and !#$%&'*+-.^_|~`,
    'correct the name',
  );
}

export function checkLabels(check: Check, construct: IConstruct, labels: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(labels)) {
    if (labelKey.test(key) && (labelValue.test(value) || isUnknown(value))) continue;
    check.report(
      'MW1142',
      construct,
      `label ${quote(key)}=${quote(value)} is invalid; allowed are up to 63 letters, digits, dashes, dots and underscores, a letter or digit at both ends`,
      'correct the label',
    );
  }
}

export function checkReplicas(check: Check, construct: IConstruct, replicas: number): void {
  if ((Number.isInteger(replicas) && replicas >= 0) || isUnknown(replicas)) return;
  check.report(
    'MW1139',
    construct,
    `the number of replicas is ${replicas}; allowed are whole numbers from 0`,
    'state how many processes shall run',
  );
}

/** Rule names are what decisions and logs show, so each must mean one rule. */
export function checkRuleNames(check: Check, construct: IConstruct, names: readonly (string | undefined)[]): void {
  names.forEach((name, index) => {
    if (name === undefined) return;
    const problem = !(objectName.test(name) || isUnknown(name))
      ? 'is invalid; allowed are lower-case letters, digits, dashes and dots'
      : names.indexOf(name) !== index
        ? 'is used twice'
        : undefined;
    if (problem) check.report('MW1252', construct, `rule name ${quote(name)} ${problem}`, 'give the rule another name');
  });
}

export function quote(text: string): string {
  return `'${text}'`;
}

/** `reviews, ratings` or `none`. */
export function listOf(names: Iterable<string>): string {
  return [...names].join(', ') || 'none';
}

/** The nearest DNS label, for hints. */
function asLabel(name: string): string {
  const label = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, 63)
    .replace(/-+$/, '');
  return label || 'main';
}
