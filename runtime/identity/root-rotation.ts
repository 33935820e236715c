import { X509Certificate } from 'node:crypto';
import type { Clock } from '../model/index.ts';
import type { AuthorityFiles } from './authority-files.ts';
import { createRoot } from './certificate-authority.ts';
import { splitPem } from './pem-chain.ts';
import { svidLifetime } from './svid.ts';

/**
 * What can be due of a root of our own.
 *
 * - `announce`: make the next root and have everybody believe both; the old one signs on.
 * - `sign`: sign with the next one; the old key is forgotten, the old certificate still believed.
 * - `retire`: believe the new one only.
 * - `replace`: the root has expired, and with it everything it signed: begin anew.
 */
export type RotationStep = 'announce' | 'sign' | 'retire' | 'replace';

/** The part of a root's life after which the next one is announced: the rest is for who does not watch. */
const wornOut = 0.8;

/**
 * Milliseconds that each phase lasts unless told otherwise. As long as an SVID lives: after that every valid one was
 * issued in this phase, with the bundle of this phase. The hour is for controllers that read the change late.
 */
export const defaultOverlap = svidLifetime + 60 * 60 * 1000;

export interface RotationOptions {
  /** Wall-clock milliseconds. */
  readonly now: number;
  /** Milliseconds that each phase lasts. */
  readonly overlap: number;
  /** Whether somebody asked for a new root. It is heard when no change is under way. */
  readonly requested: boolean;
}

/** The step that is due, if any. The files are those of an authority that can be read. */
export function dueStep(files: AuthorityFiles, options: RotationOptions): RotationStep | undefined {
  const { now, requested } = options;
  const { rotation } = files;
  const root = validity(files.certificatePem);
  if (rotation?.phase === 'announced')
    return now >= Math.min(phaseEnd(files, options)!, root.notAfter) ? 'sign' : undefined;
  if (now >= root.notAfter) return 'replace';
  if (rotation) return now >= phaseEnd(files, options)! ? 'retire' : undefined;
  return requested || now >= rotationDue(files) ? 'announce' : undefined;
}

/** When the phase that is under way ends; `undefined` where no change is. */
export function phaseEnd(files: AuthorityFiles, { overlap }: Pick<RotationOptions, 'overlap'>): number | undefined {
  return files.rotation && files.rotation.since + overlap;
}

/** When the next root is announced by itself. */
export function rotationDue(files: AuthorityFiles): number {
  const { notBefore, notAfter } = validity(files.certificatePem);
  return notBefore + (notAfter - notBefore) * wornOut;
}

/** The files after a step. */
export async function takeStep(
  step: RotationStep,
  files: AuthorityFiles,
  options: { readonly trustDomain: string; readonly clock: Clock },
): Promise<AuthorityFiles> {
  const since = options.clock.wallTime();
  const { certificatePem, keyPem, rootPem = certificatePem, rotation } = files;
  switch (step) {
    case 'announce': {
      const next = await createRoot(options);
      const roots = rootPem + next.certificatePem;
      return { certificatePem, keyPem, rootPem: roots, rotation: { phase: 'announced', since, ...next } };
    }
    case 'sign': {
      if (rotation?.phase !== 'announced') throw new Error('no root is announced');
      const next = { certificatePem: rotation.certificatePem, keyPem: rotation.keyPem };
      return { ...next, rootPem, rotation: { phase: 'retiring', since } };
    }
    case 'retire':
      return { certificatePem, keyPem, rootPem: certificatePem };
    case 'replace': {
      const next = await createRoot(options);
      return { ...next, rootPem: next.certificatePem };
    }
  }
}

function validity(certificatePem: string) {
  const { validFromDate, validToDate } = new X509Certificate(splitPem(certificatePem)[0]);
  return { notBefore: validFromDate.getTime(), notAfter: validToDate.getTime() };
}
