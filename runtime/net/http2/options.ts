import type { Clock } from '../../model/index.ts';
import type { HttpLimits } from '../http.ts';

/** What client and server may be told. */
export interface Http2Options {
  readonly limits: HttpLimits;
  readonly clock: Clock;
  /**
   * Bytes of one body that may be under way, or held back while its reader pauses.
   *
   * @default 1 MiB
   */
  readonly streamWindow?: number;
  /**
   * The same for all bodies of the connection together.
   *
   * @default 16 MiB
   */
  readonly connectionWindow?: number;
}
