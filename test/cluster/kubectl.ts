import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { binaries, kubeconfig } from './paths.ts';

/** Runs kubectl on the cluster of the test; what it prints. Rejects with its complaint. */
export async function kubectl(args: readonly string[], input = ''): Promise<string> {
  const child = spawn(join(binaries, 'hyperkube'), ['kubectl', `--kubeconfig=${kubeconfig}`, ...args]);
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [out, complaint, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${complaint.trim() || `exit ${code}`}`);
  return out;
}

/** Server-side apply of YAML or JSON documents. */
export async function apply(manifests: string, ...args: readonly string[]): Promise<string> {
  return kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-', ...args], manifests);
}

export async function get<T = Record<string, unknown>>(...args: readonly string[]): Promise<T> {
  return JSON.parse(await kubectl(['get', ...args, '-o', 'json'])) as T;
}

/** Asks again until `check` neither rejects nor gives `undefined` or `false`; what it gave. */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | undefined | false>,
  limit = 60_000,
): Promise<T> {
  const deadline = Date.now() + limit;
  let last: unknown;
  for (;;) {
    try {
      const result = await check();
      if (result !== undefined && result !== false) return result;
      last = result;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`not within ${limit / 1000} s: ${what}; last: ${String(last)}`);
    await setTimeout(250);
  }
}
