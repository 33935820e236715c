import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CertificateAuthority } from '../identity/authority.ts';
import type { Clock } from '../model/index.ts';
import { readBounded } from './files/read-file.ts';

/** A PEM of ours is far smaller. */
const maxPemBytes = 64 << 10;

/**
 * The certificate authority of a trust domain, kept in `directory/<trust domain>/`; made at first use. What is there
 * but cannot be read is an error, never a reason to make a new root: all certificates would stop being valid.
 */
export async function openAuthority(
  directory: string,
  trustDomain: string,
  clock: Clock,
): Promise<CertificateAuthority> {
  const home = join(directory, trustDomain);
  const certificateFile = join(home, 'ca.crt');
  const keyFile = join(home, 'ca.key');
  const [certificatePem, keyPem] = [await readIfThere(certificateFile), await readIfThere(keyFile)];
  if (certificatePem !== undefined && keyPem !== undefined) {
    return CertificateAuthority.load({ certificatePem, keyPem, clock });
  }
  const authority = await CertificateAuthority.create({ trustDomain, clock });
  await mkdir(home, { recursive: true, mode: 0o700 });
  // The certificate last: where it is, the key is whole.
  await writePrivate(keyFile, authority.keyPem);
  await writePrivate(certificateFile, authority.certificatePem);
  return authority;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    const text = await readBounded(path, maxPemBytes);
    if (text === undefined) throw new Error(`${path} is too large to be a PEM file`);
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whole or not at all, and for our user only. */
async function writePrivate(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}.tmp`;
  await writeFile(draft, text, { mode: 0o600 });
  await rename(draft, path);
}
