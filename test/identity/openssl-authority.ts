import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** An authority as its owner has it. */
export interface OwnAuthority {
  readonly certificatePem: string;
  /** PKCS #8. */
  readonly keyPem: string;
}

export interface OwnAuthoritySettings {
  readonly subject: string;
  /** Who signs it. @default - itself */
  readonly issuer?: OwnAuthority;
  /** As OpenSSL's `-newkey` and `-pkeyopt` have it. @default ec:prime256v1 */
  readonly key?: string;
  /** Extensions as OpenSSL's `-addext` has them. @default - those an authority needs */
  readonly extensions?: readonly string[];
  readonly days?: number;
  /** @default sha256 */
  readonly digest?: string;
}

export const authorityExtensions = ['basicConstraints=critical,CA:true', 'keyUsage=critical,keyCertSign,cRLSign'];

/** Runs OpenSSL on files of the given contents, each named in the arguments by its key. */
export function openssl(files: Readonly<Record<string, string>>, ...args: string[]): string {
  const directory = mkdtempSync(join(tmpdir(), 'meshwright-test-'));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
    return execFileSync('openssl', args, {
      cwd: directory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 1 << 20,
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Makes an authority with OpenSSL, as a user would. */
export function ownAuthority(settings: OwnAuthoritySettings): OwnAuthority {
  const { subject, issuer, key = 'ec:prime256v1', extensions = authorityExtensions, days = 3650 } = settings;
  const directory = mkdtempSync(join(tmpdir(), 'meshwright-test-'));
  const at = (name: string) => join(directory, name);
  try {
    const [kind, size] = key.split(':');
    const newKey = kind === 'rsa' ? ['-newkey', key] : ['-newkey', 'ec', '-pkeyopt', `ec_paramgen_curve:${size}`];
    const args = ['req', '-x509', ...newKey, '-nodes', '-keyout', at('key'), '-out', at('crt'), '-days', `${days}`];
    args.push('-utf8', '-subj', subject, `-${settings.digest ?? 'sha256'}`, '-config', '/dev/null');
    if (issuer) {
      writeFileSync(at('issuer.crt'), issuer.certificatePem);
      writeFileSync(at('issuer.key'), issuer.keyPem);
      args.push('-CA', at('issuer.crt'), '-CAkey', at('issuer.key'));
    }
    execFileSync('openssl', [...args, ...extensions.flatMap((extension) => ['-addext', extension])], {
      stdio: 'pipe',
    });
    return { certificatePem: readFileSync(at('crt'), 'utf8'), keyPem: readFileSync(at('key'), 'utf8') };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
