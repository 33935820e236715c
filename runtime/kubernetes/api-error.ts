/** The API server refused, or did not answer. The message names method, path, status and what the server said. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** Of HTTP; 0 where no answer came. */
  readonly status: number;
  /** The server's word: `NotFound`, `Conflict`, `Expired`; where no answer came, `Unreachable` or `Timeout`. */
  readonly reason: string;
  /** Milliseconds the server asks to wait before the next try. */
  readonly retryAfter?: number;

  constructor(message: string, details: { readonly status: number; readonly reason: string; retryAfter?: number }) {
    super(message);
    this.status = details.status;
    this.reason = details.reason;
    this.retryAfter = details.retryAfter;
  }
}

/** Whether a write was done; not where the server says that somebody else was faster (status 409). */
export async function unlessConflict(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return false;
    throw error;
  }
}
