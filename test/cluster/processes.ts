import { readdirSync, readFileSync } from 'node:fs';

/** What a process of a pod uses, as the kernel tells. */
export interface Usage {
  readonly pid: number;
  /** Bytes of its own memory: no file of the image is in it, which all pods share. */
  readonly anonymous: number;
  /** Bytes of all its memory. */
  readonly resident: number;
  /** Seconds of CPU since it started. */
  readonly cpu: number;
}

const ticks = 100;

/** The processes of a command of our image, in the pods of a namespace of the cluster on this machine. */
export function usageOf(command: 'sidecar' | 'controller', namespace: string): readonly Usage[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        const program = args.findIndex((arg) => arg.endsWith('/meshwright.js'));
        if (program < 0 || args[program + 1] !== command) return [];
        const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
        return environment.includes(`POD_NAMESPACE=${namespace}`) ? [usage(Number(pid))] : [];
      } catch {
        // It ended meanwhile.
        return [];
      }
    });
}

function usage(pid: number): Usage {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
  // The second field, the name, may hold anything but ends with the last parenthesis.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
  const cpu = (Number(fields[11]) + Number(fields[12])) / ticks;
  return { pid, anonymous: bytes('RssAnon'), resident: bytes('VmRSS'), cpu };
}
