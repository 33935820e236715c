import type { Figure } from '../bench.ts';
import { bodies } from './bodies.ts';
import { connections } from './connections.ts';
import { grpc } from './grpc.ts';
import { memory } from './memory.ts';
import { openLoop } from './open-loop.ts';
import { overload } from './overload.ts';
import { pair } from './pair.ts';
import { pauses } from './pauses.ts';
import { startUp } from './start-up.ts';
import { workers } from './workers.ts';

/** Every figure by its name on the command line. */
export const figures: Readonly<Record<string, Figure>> = {
  pair,
  grpc,
  bodies,
  'open-loop': openLoop,
  memory,
  connections,
  pauses,
  'start-up': startUp,
  overload,
  workers,
};
