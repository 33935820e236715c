/** What the exit code of every command means; `findings`: what was checked has errors. */
export const exitCode = { ok: 0, failure: 1, usage: 2, findings: 3 } as const;

/** Ends a command with this exit code; `message` is told on standard error. */
export class CommandError extends Error {
  readonly code: number;

  constructor(message: string, code: number = exitCode.failure) {
    super(message);
    this.code = code;
  }
}

/** A command was called in a way that it does not understand. */
export function usageError(message: string): CommandError {
  return new CommandError(message, exitCode.usage);
}
