import { once } from 'node:events';
import { request } from 'node:http';
import type { RunningProcess } from '../host/workspace.ts';

/** Two hops that carry requests to the backend: what is measured. */
export interface Pair {
  readonly name: string;
  /** Where the outbound hop takes the client's requests. */
  readonly url: string;
  readonly processes: readonly RunningProcess[];
  /** Files that grow with traffic; they are emptied before each measurement. */
  readonly logs: readonly string[];
}

/** A path that only the last of the three routing rules matches. */
export const measuredPath = '/reviews/7';

const startTimeout = 20_000;
const betweenTries = 50;

/**
 * Resolves when a pair does its work: it forwards what its access policy allows and refuses what it does not. Rejects
 * when that is not so after `patience` milliseconds.
 */
export async function verifyPair(pair: Pair, patience = startTimeout): Promise<void> {
  const deadline = performance.now() + patience;
  for (;;) {
    const ended = pair.processes.map((process) => process.ended()).find((reason) => reason !== undefined);
    if (ended !== undefined) throw new Error(`${pair.name} cannot be measured: ${ended}`);
    const statuses = await Promise.all([status('GET', pair.url), status('DELETE', pair.url)]);
    if (statuses.join() === '200,403') return;
    if (performance.now() > deadline) {
      throw new Error(
        `${pair.name} cannot be measured: expected 200 for GET and 403 for DELETE, got ${statuses.join(' and ')}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, betweenTries));
  }
}

async function status(method: string, url: string): Promise<number | string> {
  try {
    const outgoing = request(url, { method, agent: false, signal: AbortSignal.timeout(startTimeout) }).end();
    const [response] = await once(outgoing, 'response');
    response.resume();
    return response.statusCode;
  } catch (error) {
    return (error as Error).message;
  }
}
