import type { Logger } from '../../identity/index.ts';
import type { Clock, Timer } from '../../model/index.ts';
import type { AuthorityKeeper } from './authority-keeper.ts';

/** Milliseconds between two looks. */
const interval = 60_000;

/** Looks every minute, from now on, whether the store of the authority changed and, as leader, whether a step is due. */
export function watchAuthority(options: {
  readonly keeper: AuthorityKeeper;
  readonly isLeader: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}): { close(): void } {
  const { keeper, isLeader, clock, logger } = options;
  let timer: Timer | undefined;
  let closed = false;
  const look = async (): Promise<void> => {
    try {
      await keeper.reload();
      if (isLeader() && !closed) await keeper.advance();
    } catch (error) {
      logger.warn({ reason: error instanceof Error ? error.message : String(error) }, 'the authority was not read');
    }
    if (!closed) timer = clock.schedule(interval, () => void look());
  };
  void look();
  return {
    close() {
      closed = true;
      timer?.cancel();
    },
  };
}
