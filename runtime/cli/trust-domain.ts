import { InvalidArgumentError } from 'commander';

export function parseTrustDomain(value: string): string {
  if (/^[a-z0-9._-]{1,255}$/.test(value)) return value;
  throw new InvalidArgumentError('Allowed are lower-case letters, digits, dots, dashes and underscores.');
}
