import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Connection } from '../../runtime/net/connection.ts';
import { FrameWriter } from '../../runtime/net/http2/frame-writer.ts';
import { Output } from '../../runtime/net/output.ts';
import { eventually } from '../support/eventually.ts';
import { bytesOf } from '../support/marked-bytes.ts';
import { dial, hangUp, type Transport } from './dial.ts';
import { largeBuffersAtHand } from './large-buffers.ts';

afterEach(hangUp);

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** The payloads of frames; of the last one what is there. */
function payloads(frames: Buffer): Buffer {
  const found: Buffer[] = [];
  for (let at = 0; at + 9 <= frames.length; ) {
    const end = at + 9 + frames.readUIntBE(at, 3);
    found.push(frames.subarray(at + 9, end));
    at = end;
  }
  return Buffer.concat(found);
}

/** How one connection is used. */
interface Course {
  readonly transport: Transport;
  /** Something is written before, so that Node's own stream does the writing. */
  readonly queued: boolean;
  readonly maxFrameSize: number | undefined;
  readonly writes: readonly number[];
  /** Writes in one turn of the event loop. */
  readonly together: number;
  /** Turns that the reader waits. */
  readonly late: number;
  /** The reader breaks off after so many bytes, or the writer before this write, after which it goes on. */
  readonly leavesAfter: number;
  readonly breaksBefore: number;
}

const rarely = <T>(arbitrary: fc.Arbitrary<T>, otherwise: T) =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(otherwise) }, { weight: 1, arbitrary });

const anyCourse: fc.Arbitrary<Course> = fc.record({
  transport: fc.constantFrom('plain text', 'TLS'),
  queued: rarely(fc.constant(true), false),
  maxFrameSize: fc.constantFrom(undefined, 16_384, 65_536, 262_135, 262_144, 16_777_215),
  // The largest is more than the kernel keeps for a peer that does not read.
  writes: fc.array(fc.constantFrom(1, 500, 8192, 16_375, 16_384, 262_135, 262_144, 700_000, 5_000_000), {
    minLength: 1,
    maxLength: 8,
  }),
  together: fc.integer({ min: 1, max: 8 }),
  late: rarely(fc.integer({ min: 1, max: 60 }), 0),
  leavesAfter: rarely(fc.integer({ min: 0, max: 900_000 }), Number.POSITIVE_INFINITY),
  breaksBefore: rarely(fc.integer({ min: 0, max: 7 }), -1),
});

async function read(reader: Socket, { late, leavesAfter }: Course): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let seen = 0;
  const closed = new Promise((resolve) => reader.once('close', resolve));
  for (let turn = 0; turn < late; turn++) await nextTurn();
  reader.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    seen += chunk.length;
    if (seen >= leavesAfter) reader.destroy();
  });
  await closed;
  return Buffer.concat(chunks);
}

/** Writes as the stacks do, who do not always wait until their peer reads. */
async function write(connection: Connection, bytes: Buffer, course: Course): Promise<void> {
  const { maxFrameSize, writes, together, breaksBefore } = course;
  const output = new Output(connection);
  const frames = new FrameWriter(connection, 4096, { onWrite() {}, onFlush() {} });
  frames.maxFrameSize = maxFrameSize ?? 0;
  let at = 0;
  for (const [index, size] of writes.entries()) {
    if (index === breaksBefore) {
      connection.destroy();
      if (index % 2 === 0) frames.stop();
      else output.discard();
    }
    const end = at + size;
    if (maxFrameSize === undefined) output.bytes(bytes.subarray(at, end));
    else
      for (let next = at; at < end; at = next) {
        next = Math.min(end, at + frames.dataRoom);
        frames.data(1, bytes, at, next);
      }
    at = end;
    if (index % together === 0) await nextTurn();
  }
  frames.flush();
  output.flush();
  connection.end();
}

async function run(owner: number, course: Course): Promise<string | undefined> {
  const before = course.queued ? Buffer.alloc(3_000_000) : Buffer.alloc(0);
  const { reader, connection, closed } = await dial(course.transport, (socket) => {
    if (course.queued) socket.write(before);
  });
  const bytes = bytesOf(
    owner,
    course.writes.reduce((sum, size) => sum + size, 0),
  );
  const [all] = await Promise.all([read(reader, course), write(connection, bytes, course)]);
  await closed;
  const after = all.subarray(before.length);
  const got = course.maxFrameSize === undefined ? after : payloads(after);
  if (!got.equals(bytes.subarray(0, got.length))) return `what ${owner} got is not its own`;
  const whole = course.leavesAfter === Number.POSITIVE_INFINITY && course.breaksBefore < 0;
  return whole && got.length < bytes.length ? `${owner} got ${got.length} of ${bytes.length}` : undefined;
}

describe('buffers that many connections write from', () => {
  it('hold nobody else’s bytes, and are all back when the connections are closed, however these end', async () => {
    const atHand = largeBuffersAtHand();
    expect(atHand).toBe(16);
    await fc.assert(
      fc.asyncProperty(fc.array(anyCourse, { minLength: 20, maxLength: 40 }), async (courses) => {
        const wrong = await Promise.all(courses.map((course, owner) => run(owner, course)));
        expect(wrong.filter((each) => each !== undefined)).toEqual([]);
        await eventually(() => largeBuffersAtHand() === atHand);
      }),
      { numRuns: 6, endOnFailure: true },
    );
  }, 60_000);
});
