import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Its go.mod says which h2spec. */
const moduleDirectory = join(import.meta.dirname, 'h2spec');

/** What a run of h2spec came to. */
export interface ConformanceReport {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** In h2spec's words; empty when all is well. */
  readonly failures: string;
}

/**
 * Builds h2spec, which is a Go program; Go keeps modules and program in its own caches. Returns the program's path.
 * Rejects where there is no Go.
 */
export async function buildH2spec(): Promise<string> {
  try {
    const { stdout } = await run('go', ['tool', '-n', 'h2spec'], { cwd: moduleDirectory });
    return stdout.trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error('there is no command "go": the HTTP/2 conformance tests (h2spec) need Go 1.24 or later in PATH');
  }
}

/**
 * Runs all of its cases, the strict ones too, against a server that speaks HTTP/2 from the first byte. One of them sends
 * five fields of `fieldLength` bytes as a frame that must be too large: it assumes that no more than 16 KiB are taken.
 */
export async function runH2spec(program: string, port: number, fieldLength?: number): Promise<ConformanceReport> {
  const args = ['--host', '127.0.0.1', '--port', String(port), '--strict'];
  if (fieldLength !== undefined) args.push('--max-header-length', String(fieldLength));
  // It ends with 1 when a case failed, which the output tells better.
  const output = await run(program, args, { maxBuffer: 16 * 1024 * 1024 }).then(
    ({ stdout }) => stdout,
    ({ stdout }: { stdout?: string }) => stdout ?? '',
  );
  const summary = /(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed/.exec(output);
  if (!summary) throw new Error(`h2spec did not finish:\n${output.slice(-2000)}`);
  const [passed, skipped, failed] = summary.slice(2).map(Number);
  const failuresAt = output.indexOf('Failures:');
  return { passed, skipped, failed, failures: failuresAt < 0 ? '' : output.slice(failuresAt, summary.index) };
}
