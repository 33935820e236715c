import { readFileSync } from 'node:fs';

/** Memory of a process in bytes. */
export interface ProcessMemory {
  /** What is its own: heap, stacks, buffers; not the pages of files, which all processes of a program share. */
  readonly private: number;
  /** All that is resident. */
  readonly resident: number;
}

/** Reads the text of `/proc/PID/status`. */
export function parseMemory(status: string): ProcessMemory {
  const bytes = (field: string): number => {
    const found = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status);
    if (!found) throw new Error(`expected ${field} in /proc/PID/status, got "${status.slice(0, 80)}"`);
    return Number(found[1]) * 1024;
  };
  return { private: bytes('RssAnon'), resident: bytes('VmRSS') };
}

export function memoryOf(pid: number): ProcessMemory {
  return parseMemory(readFileSync(`/proc/${pid}/status`, 'latin1'));
}
