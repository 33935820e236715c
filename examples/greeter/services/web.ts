import { createServer } from 'node:http';
import { type ClientHttp2Session, connect } from 'node:http2';
import { decode, encode } from './rpc.ts';

const { PORT = '8080', HOST, GREETER_SERVICE_HOST = 'greeter', GREETER_SERVICE_PORT = '50051' } = process.env;

let session: ClientHttp2Session | undefined;

/** One connection for all calls, opened again when it is gone. */
function greeter(): ClientHttp2Session {
  if (session && !session.closed && !session.destroyed) return session;
  session = connect(`http://${GREETER_SERVICE_HOST}:${GREETER_SERVICE_PORT}`);
  session.on('error', (error) => console.error(`web: ${error}`));
  return session;
}

/** Calls a method of the greeter; rejects where it ends with another status than OK. */
function call(method: string, name: string, requestId: string | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = greeter().request({
      ':method': 'POST',
      ':path': `/greeter.v1.Greeter/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...(requestId && { 'x-request-id': requestId }),
    });
    const chunks: Buffer[] = [];
    let ended: Record<string, unknown> = {};
    stream.on('response', (headers) => {
      ended = headers;
    });
    stream.on('trailers', (trailers) => {
      ended = trailers;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('end', () => {
      if (ended['grpc-status'] === '0') resolve(decode(Buffer.concat(chunks)));
      else reject(new Error(`${method} ended with ${ended['grpc-status']}: ${ended['grpc-message']}`));
    });
    stream.end(encode(name));
  });
}

const methods: Readonly<Record<string, string>> = { hello: 'Hello', goodbye: 'Goodbye' };

const server = createServer(async (request, response) => {
  const [, word, name = 'stranger'] = new URL(request.url ?? '/', 'http://web').pathname.split('/');
  const requestId = request.headers['x-request-id']?.toString();
  try {
    if (!Object.hasOwn(methods, word)) response.writeHead(404).end('say /hello/<name> or /goodbye/<name>\n');
    else response.end(`${await call(methods[word], name, requestId)}\n`);
  } catch (error) {
    console.error(`web: ${error}`);
    response.writeHead(502).end('the greeter does not answer\n');
  }
});
server.listen(Number(PORT), HOST, () => console.log(`web listens on port ${PORT}`));
process.once('SIGTERM', () => {
  session?.close();
  server.close(() => process.exit(0));
});
