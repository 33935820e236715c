import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { buffer } from 'node:stream/consumers';
import { decode, encode } from './rpc.ts';

const { PORT = '50051', HOST, SERVICE_VERSION = 'v1', COLD } = process.env;
const status = { ok: 0, unimplemented: 12, internal: 13, unavailable: 14 };

const greetings: Readonly<Record<string, (name: string, language: unknown) => string>> = {
  Hello: (name) => `Hello, ${name}`,
  Goodbye: (name, language) => `${language === 'fr' ? 'Au revoir' : 'Goodbye'}, ${name}`,
};

let cold = COLD !== undefined;

async function answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
  const greet = greetings[String(headers[':path']).replace('/greeter.v1.Greeter/', '')];
  if (!greet) return fail(stream, status.unimplemented, 'no such method');
  if (cold) {
    cold = false;
    return fail(stream, status.unavailable, 'it has just begun');
  }
  const text = greet(decode(await buffer(stream)), headers['x-language']);
  const time = headers['grpc-timeout'] === undefined ? 'no deadline' : `a deadline of ${headers['grpc-timeout']}`;
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status.ok }));
  stream.end(encode(`${text} (${SERVICE_VERSION}, with ${time})`));
}

function fail(stream: ServerHttp2Stream, code: number, message: string): void {
  const trailers = { 'grpc-status': code, 'grpc-message': message };
  stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...trailers }, { endStream: true });
}

const server = createServer();
const sessions = new Set<{ close(): void }>();
server.on('session', (session) => {
  sessions.add(session);
  session.on('close', () => sessions.delete(session));
});
server.on('stream', (stream, headers) => {
  stream.on('error', (error) => console.error(`greeter: ${error}`));
  answer(stream, headers).catch((error) => {
    console.error(`greeter: ${error}`);
    if (!stream.headersSent) fail(stream, status.internal, 'no message that it understands');
  });
});
server.listen(Number(PORT), HOST, () => console.log(`greeter ${SERVICE_VERSION} listens on port ${PORT}`));
process.once('SIGTERM', () => {
  server.close(() => process.exit(0));
  for (const session of sessions) session.close();
});
