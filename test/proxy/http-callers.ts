import { request as http1Request } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { closeLater } from './mesh.ts';

interface Question {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string | Buffer;
  readonly trailers?: Record<string, string>;
  /** Writes the body, and leaves it without an end. */
  readonly unfinished?: boolean;
  /** Waits for 100 before it sends the body. */
  readonly waits?: boolean;
}

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly interim: readonly number[];
  readonly trailers: Record<string, unknown>;
  readonly body: Buffer;
}

export interface Caller {
  ask(question: Question): Promise<Answer>;
  /** A request whose answer is read in part: resolves when it has begun; what comes back gives it up. */
  begin(path: string): Promise<() => void>;
}

/** Node's own client of HTTP/1.1, with a connection for each request. */
export function http1Caller(port: number, host: string, isProxy: boolean): Caller {
  const start = ({ method = 'GET', path = '/', headers = {}, trailers, body }: Question) =>
    http1Request({
      host: '127.0.0.1',
      port,
      method,
      path: isProxy ? `http://${host}${path}` : path,
      headers: { host, ...headers, ...(trailers && body !== undefined && { 'transfer-encoding': 'chunked' }) },
      agent: false,
    });
  return {
    ask(question) {
      const request = start(question);
      const interim: number[] = [];
      request.on('information', ({ statusCode }) => interim.push(statusCode));
      return new Promise((resolve, reject) => {
        request.on('error', reject);
        request.on('response', (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const { statusCode: status = 0, headers, trailers } = response;
            resolve({ status, headers, interim, trailers, body: Buffer.concat(chunks) });
            request.destroy();
          });
        });
        const finish = () => {
          if (question.trailers) request.addTrailers(question.trailers);
          if (question.unfinished) request.write(question.body ?? '');
          else request.end(question.body);
        };
        if (question.waits) request.on('continue', finish).flushHeaders();
        else finish();
      });
    },
    begin(path) {
      const request = start({ path });
      request.on('error', () => {});
      return new Promise((resolve) => {
        request.on('response', (response) => {
          response.on('error', () => {});
          // An end in order would only say that no more of the request comes.
          response.once('data', () => resolve(() => response.socket.resetAndDestroy()));
        });
        request.end();
      });
    },
  };
}

/** Node's own client of HTTP/2, with one connection. */
export function http2Caller(port: number, host: string): Caller {
  let session: ClientHttp2Session | undefined;
  const start = ({ method = 'GET', path = '/', headers = {}, body, trailers, unfinished }: Question) => {
    if (!session || session.closed || session.destroyed) {
      session = connectHttp2(`http://127.0.0.1:${port}`);
      session.on('error', () => {});
      const { destroy } = session;
      closeLater(() => destroy.call(session));
    }
    return session.request(
      { ':method': method, ':path': path, ':authority': host, ...headers },
      { endStream: body === undefined && !unfinished, waitForTrailers: trailers !== undefined },
    );
  };
  return {
    ask(question) {
      const stream = start(question);
      const interim: number[] = [];
      const chunks: Buffer[] = [];
      let headers: Record<string, unknown> = {};
      let trailers: Record<string, unknown> = {};
      stream.on('headers', (head) => interim.push(Number(head[':status'])));
      stream.on('continue', () => interim.push(100));
      stream.on('response', (head) => {
        headers = head;
      });
      stream.on('trailers', (fields) => {
        trailers = fields;
      });
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('wantTrailers', () => stream.sendTrailers(question.trailers ?? {}));
      const finish = () => {
        if (question.unfinished) stream.write(question.body ?? '');
        else if (question.body !== undefined) stream.end(question.body);
      };
      if (question.waits) stream.on('continue', finish);
      else finish();
      return new Promise((resolve, reject) => {
        stream.on('error', reject);
        const settle = () => {
          if (stream.rstCode) reject(new Error(`reset with ${stream.rstCode}`));
          else resolve({ status: Number(headers[':status']), headers, interim, trailers, body: Buffer.concat(chunks) });
        };
        // A stream whose request has no end does not close by itself; of one that was reset, `end` says nothing.
        stream.on(question.unfinished ? 'end' : 'close', settle);
      });
    },
    begin(path) {
      const stream = start({ path });
      stream.on('error', () => {});
      return new Promise((resolve) => stream.once('data', () => resolve(() => stream.close(8))));
    },
  };
}
