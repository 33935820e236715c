import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { closeAll, readAll, send, startApp, startPairTo } from './mesh.ts';

afterEach(closeAll);

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** An application that answers with the body that it was sent, as it comes. */
const startMirror = (): Promise<number> =>
  startApp((request, response) => {
    response.writeHead(200);
    request.pipe(response);
  });

describe('bodies that pass two sidecars at the same time', () => {
  it('never mix, though all are read into the same memory', async () => {
    const { outbound } = await startPairTo(await startMirror());
    const sizes = [1, 8191, 16_375, 65_536, 262_144, 300_001, 1_048_576, 3_000_000];
    const bodies = sizes.flatMap((size) => [randomBytes(size), randomBytes(size)]);
    const replies = await Promise.all(bodies.map((body) => send(outbound, { method: 'POST', path: '/echo', body })));
    expect(replies.map(({ body }) => digest(body))).toEqual(bodies.map(digest));
  });

  it('stay whole while some clients read late', async () => {
    const body = randomBytes(6_000_000);
    const app = await startApp((_request, response) => response.end(body));
    const { outbound } = await startPairTo(app);
    const late = [1, 2, 3].map(() => {
      const socket = connect(outbound, '127.0.0.1').pause();
      socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
      return socket;
    });
    const others = await Promise.all(Array.from({ length: 8 }, () => send(outbound, { path: '/' })));
    expect(new Set(others.map((reply) => digest(reply.body)))).toEqual(new Set([digest(body)]));
    for (const socket of late) {
      const whole = Buffer.from(await readAll(socket.resume()), 'latin1');
      expect(digest(whole.subarray(whole.indexOf('\r\n\r\n') + 4, whole.length))).toBe(digest(body));
    }
  });
});
