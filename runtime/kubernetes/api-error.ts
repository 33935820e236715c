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
