import { FindingsError } from '../model/index.ts';
import { CommandError, exitCode } from './exit-code.ts';
import { printFindings } from './findings.ts';

/** Tells on standard error why a command failed, and gives its exit code. */
export function report(error: unknown): number {
  if (error instanceof FindingsError) {
    // The code for findings is for commands that were asked to find some.
    printFindings(error.findings);
    return exitCode.failure;
  }
  if (error instanceof CommandError) {
    if (error.message) process.stderr.write(`${error.message}\n`);
    return error.code;
  }
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return exitCode.failure;
}
