import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:http2';
import type { RunningProcess, Workspace } from '../host/workspace.ts';

/** What the application speaks. */
export type Application = 'http' | 'grpc';

/** Two hops that carry requests to the backend: what is measured. */
export interface Pair {
  readonly name: string;
  readonly application: Application;
  /** Where the outbound hop takes the client's requests. */
  readonly url: string;
  /** The outbound hop's is the first; both hops may be in one. */
  readonly processes: readonly RunningProcess[];
  /** Of the first process of ours, the address of its admin port. */
  readonly admin?: string;
  /** Files that grow with traffic; they are emptied before each measurement. */
  readonly logs: readonly string[];
}

/** What to start of a pair. */
export interface PairOptions {
  readonly workspace: Workspace;
  readonly application: Application;
  /** The port of the backend. */
  readonly backend: number;
  /** Services that the outbound hop knows besides the one that is called. */
  readonly services: number;
  /** Tells the user what goes on. */
  readonly progress: (message: string) => void;
}

/** A path that only the last of the three routing rules matches. */
export const measuredPath: Readonly<Record<Application, string>> = { http: '/reviews/7', grpc: '/bench.Greeter/Say' };

/** The one method that the access policy allows. */
export function methodOf(application: Application): 'GET' | 'POST' {
  return application === 'grpc' ? 'POST' : 'GET';
}

/** Names of services that are known and never called. */
export function knownServices(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `known-${index}`);
}

const startTimeout = 20_000;
const betweenTries = 50;

/**
 * Resolves when a pair does its work: it forwards what its access policy allows and refuses what it does not. Rejects
 * when that is not so after `patience` milliseconds.
 */
export async function verifyPair(pair: Pair, patience = startTimeout): Promise<void> {
  const deadline = performance.now() + patience;
  const allowed = methodOf(pair.application);
  const statusOf = pair.application === 'grpc' ? statusByHttp2 : status;
  for (;;) {
    const ended = pair.processes.map((process) => process.ended()).find((reason) => reason !== undefined);
    if (ended !== undefined) throw new Error(`${pair.name} cannot be measured: ${ended}`);
    const statuses = await Promise.all([statusOf(allowed, pair.url), statusOf('DELETE', pair.url)]);
    if (statuses.join() === '200,403') return;
    if (performance.now() > deadline) {
      throw new Error(
        `${pair.name} cannot be measured: expected 200 for ${allowed} and 403 for DELETE, got ${statuses.join(' and ')}`,
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

async function statusByHttp2(method: string, url: string): Promise<number | string> {
  const session = connect(url);
  try {
    session.setTimeout(startTimeout, () => session.destroy(new Error('no answer')));
    const stream = session.request({ ':method': method, ':path': new URL(url).pathname }).end();
    const [[headers]] = await Promise.all([once(stream, 'response'), once(session, 'connect')]);
    stream.resume();
    return headers[':status'];
  } catch (error) {
    return (error as Error).message;
  } finally {
    session.on('error', () => {}).destroy();
  }
}
