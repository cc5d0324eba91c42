// QEMU's framing: the same frames however the stream is cut into chunks; any bytes as a stream end it or do not, and
// nothing beside what has arrived is looked at.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Drop } from '../../../src/base/drop.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { createMemory } from '../../../src/base/memory.ts';
import { Budget, Turn } from '../../../src/base/turn.ts';
import {
  Deframer,
  eachFrame,
  MAX_STREAM_FRAME,
  PREFIX_LEN,
  RECEIVE_BUFFER_LEN,
} from '../../../src/link/framing.ts';
import { anyFenced } from './fence.ts';

const BASE = 4096;
const memory = createMemory(524_288, (buffer) => new Uint8Array(buffer), 'js');

/** What a deframer makes of `stream`, given to it in chunks of these sizes, again and again. */
function deframe(stream: Uint8Array, sizes: readonly number[]): { frames: Uint8Array[]; alive: boolean } {
  const frames: Uint8Array[] = [];
  const sink = {
    onFrame: (off: number, len: number): Drop => {
      expect(off).toBeGreaterThanOrEqual(BASE);
      expect(off + len).toBeLessThanOrEqual(BASE + RECEIVE_BUFFER_LEN);
      frames.push(Uint8Array.from(memory.bytes.subarray(off, off + len)));
      return Drop.None;
    },
  };
  const turn = new Turn(new ManualClock());
  const deframer = new Deframer(memory, BASE, RECEIVE_BUFFER_LEN, sink, new Budget(turn));
  const inTurn = (what: () => boolean): boolean => {
    let good = true;
    turn.run(() => {
      good = what();
    });
    return good;
  };
  let alive = true;
  for (let at = 0, i = 0; at < stream.length && alive; i++) {
    expect(deframer.room).toBeGreaterThanOrEqual(RECEIVE_BUFFER_LEN / 2);
    const len = Math.min(1 + sizes[i % sizes.length]!, stream.length - at, deframer.room);
    memory.bytes.set(stream.subarray(at, at + len), deframer.readOff);
    alive = inTurn(() => deframer.received(len));
    while (alive && deframer.hasMore) alive = inTurn(() => deframer.passOn());
    at += len;
  }
  return { frames, alive };
}

/** The frames of the stream by the plainest loop there is, and whether it makes sense to its end. */
function plainly(stream: Uint8Array): { frames: Uint8Array[]; alive: boolean } {
  const frames: Uint8Array[] = [];
  const v = new DataView(stream.buffer, stream.byteOffset);
  for (let at = 0; at + PREFIX_LEN <= stream.length; ) {
    const len = v.getUint32(at);
    if (len > MAX_STREAM_FRAME) return { frames, alive: false };
    if (at + PREFIX_LEN + len > stream.length) break;
    frames.push(stream.subarray(at + PREFIX_LEN, at + PREFIX_LEN + len));
    at += PREFIX_LEN + len;
  }
  return { frames, alive: true };
}

function framed(frames: readonly Uint8Array[]): Uint8Array {
  const parts = frames.flatMap((frame) => {
    const prefix = Buffer.alloc(PREFIX_LEN);
    prefix.writeUInt32BE(frame.length);
    return [prefix, frame];
  });
  return Uint8Array.from(Buffer.concat(parts));
}

const sizes = fc.array(fc.oneof(fc.nat(20), fc.nat(70_000)), { minLength: 1, maxLength: 8 });
const length = fc.oneof({ weight: 6, arbitrary: fc.nat(100) }, fc.nat(2000), fc.nat(MAX_STREAM_FRAME));

describe('the deframer', () => {
  test('finds the frames of a stream, wherever it is cut', () => {
    fc.assert(
      fc.property(fc.array(length, { maxLength: 30 }), sizes, (lengths, cuts) => {
        const frames = lengths.map((len, i) => new Uint8Array(len).fill(i));
        const got = deframe(framed(frames), cuts);
        expect(got.alive).toBe(true);
        expect(got.frames.length).toBe(frames.length);
        for (const [i, frame] of frames.entries()) expect(Buffer.compare(got.frames[i]!, frame)).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  test('makes of any bytes what the plainest loop makes of them', () => {
    const small = fc.constantFrom(0, 0, 0, 1, 2, 13, 255);
    fc.assert(
      fc.property(fc.array(fc.oneof(small, fc.nat(255)), { maxLength: 300 }), sizes, (bytes, cuts) => {
        const stream = Uint8Array.from(bytes);
        const expected = plainly(stream);
        const got = deframe(stream, cuts);
        expect(got.alive).toBe(expected.alive);
        expect(got.frames.map((frame) => [...frame])).toEqual(expected.frames.map((frame) => [...frame]));
      }),
      { numRuns: 800 },
    );
  });
});

test('frames of a batch are looked at only where they are', () => {
  fc.assert(
    fc.property(anyFenced(100), ({ memory: m, off, len }) => {
      let end = off;
      eachFrame(m, off, off + len, (at, size) => {
        expect(at).toBe(end + PREFIX_LEN);
        end = at + size;
      });
      expect(end).toBeLessThanOrEqual(off + len);
    }),
    { numRuns: 1000 },
  );
});
