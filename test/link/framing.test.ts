import { describe, expect, test } from 'vitest';
import { memoryOver } from '../../src/base/memory.ts';
import { Deframer, MAX_STREAM_FRAME, RECEIVE_BUFFER_LEN } from '../../src/link/framing.ts';
import { pattern, sameFrames } from '../support/link-bench.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const BASE = 4096;

function framed(...frames: Buffer[]): Buffer {
  return Buffer.concat(
    frames.flatMap((frame) => {
      const prefix = Buffer.alloc(4);
      prefix.writeUInt32BE(frame.length);
      return [prefix, frame];
    }),
  );
}

const memory = memoryOver(new Uint8Array(BASE + RECEIVE_BUFFER_LEN + 4096).fill(0xee));

class Bench {
  readonly memory = memory;
  readonly got: Buffer[] = [];
  readonly deframer: Deframer;

  constructor(onEach: () => void = () => {}) {
    this.deframer = new Deframer(this.memory, BASE, RECEIVE_BUFFER_LEN, {
      onFrame: (off, len) => {
        expect(off).toBeGreaterThanOrEqual(BASE + 4);
        expect(off + len).toBeLessThanOrEqual(BASE + RECEIVE_BUFFER_LEN);
        this.got.push(Buffer.from(this.memory.bytes.subarray(off, off + len)));
        onEach();
      },
    });
  }

  feed(bytes: Uint8Array): boolean {
    expect(bytes.length).toBeLessThanOrEqual(this.deframer.room);
    this.memory.bytes.set(bytes, this.deframer.readOff);
    return this.deframer.received(bytes.length);
  }
}

describe("QEMU's stream framing: a 4-byte big-endian length before each frame", () => {
  const frames = [pattern(1, 60), pattern(2, 0), pattern(3, 1514), pattern(4, 13), pattern(5, 14)];
  const stream = framed(...frames);

  test('a stream cut in two at every byte gives the same frames', () => {
    for (let cut = 0; cut <= stream.length; cut++) {
      const bench = new Bench();
      expect(bench.feed(stream.subarray(0, cut)) && bench.feed(stream.subarray(cut))).toBe(true);
      expect(sameFrames(bench.got, frames)).toBe(true);
    }
  });

  test('byte by byte', () => {
    const bench = new Bench();
    for (const byte of stream) expect(bench.feed(Uint8Array.of(byte))).toBe(true);
    expect(sameFrames(bench.got, frames)).toBe(true);
  });

  test('lengths of 0 to 13, which are no Ethernet, are passed on and the stream stays in step', () => {
    const short = Array.from({ length: 14 }, (_, len) => pattern(len, len));
    const bench = new Bench();
    bench.feed(framed(...short, frames[0]!));
    expect(bench.got).toEqual([...short, frames[0]]);
  });

  test("QEMU's longest frame, 4096 + 65536 bytes, passes", () => {
    const bench = new Bench();
    const longest = pattern(9, MAX_STREAM_FRAME);
    expect(MAX_STREAM_FRAME).toBe(69632);
    expect(bench.feed(framed(longest, frames[0]!))).toBe(true);
    expect(sameFrames(bench.got, [longest, frames[0]!])).toBe(true);
  });

  for (const len of [69633, 70000, 0x80000000, 0xffffffff]) {
    test(`a length of ${len} is an error, and nothing after it is passed on`, () => {
      const bench = new Bench();
      const prefix = Buffer.alloc(4);
      prefix.writeUInt32BE(len);
      expect(bench.feed(Buffer.concat([framed(frames[0]!), prefix, framed(frames[0]!)]))).toBe(false);
      bench.feed(framed(frames[0]!));
      expect(bench.got).toEqual([frames[0]]);
    });
  }

  test('after stop() no frame is passed on, not even one that has arrived', () => {
    const bench = new Bench(() => bench.deframer.stop());
    expect(bench.feed(stream)).toBe(true);
    expect(bench.got).toEqual([frames[0]]);
  });

  test('at least half of the buffer is free at any time, whatever comes', () => {
    const random = new SeededRandom(7);
    const bench = new Bench();
    let pending = Buffer.alloc(0);
    const expected: Buffer[] = [];
    for (let round = 0; round < 600; round++) {
      const frame = pattern(
        round,
        random.below(8) === 0 ? random.below(MAX_STREAM_FRAME + 1) : random.below(2000),
      );
      expected.push(frame);
      pending = Buffer.concat([pending, framed(frame)]);
      while (pending.length > 0 && random.below(3) > 0) {
        expect(bench.deframer.room).toBeGreaterThanOrEqual(RECEIVE_BUFFER_LEN / 2);
        const n = Math.min(pending.length, 1 + random.below(bench.deframer.room));
        expect(bench.feed(pending.subarray(0, n))).toBe(true);
        pending = pending.subarray(n);
      }
    }
    while (pending.length > 0) {
      const n = Math.min(pending.length, bench.deframer.room);
      bench.feed(pending.subarray(0, n));
      pending = pending.subarray(n);
    }
    expect(Buffer.concat(bench.got).equals(Buffer.concat(expected))).toBe(true);
    expect(bench.got.length).toBe(expected.length);
    // Nothing outside of the buffer was touched.
    expect(bench.memory.bytes.subarray(0, BASE).every((byte) => byte === 0xee)).toBe(true);
    expect(bench.memory.bytes.subarray(BASE + RECEIVE_BUFFER_LEN).every((byte) => byte === 0xee)).toBe(true);
  });
});

describe('recall(): what a throw out of a turn leaves to be read', () => {
  const recalled = (bench: Bench): Buffer[] => {
    const frames: Buffer[] = [];
    bench.deframer.recall((off, len) =>
      frames.push(Buffer.from(bench.memory.bytes.subarray(off, off + len))),
    );
    return frames;
  };
  const [a, b, c] = [pattern(1, 60), pattern(2, 1514), pattern(3, 90)] as const;

  test('the frames of the chunk up to the one that threw', () => {
    const bench = new Bench(() => {
      if (bench.got.length === 3) throw new Error('a bug');
    });
    bench.feed(framed(a));
    expect(sameFrames(recalled(bench), [a])).toBe(true);
    expect(() => bench.feed(framed(b, c, a))).toThrow('a bug');
    expect(sameFrames(recalled(bench), [b, c])).toBe(true);
  });

  test('nothing of a chunk that completed no frame', () => {
    const bench = new Bench();
    expect(recalled(bench)).toEqual([]);
    bench.feed(framed(a));
    bench.feed(framed(b).subarray(0, 100));
    expect(recalled(bench)).toEqual([]);
  });

  test('nothing when what was left was moved over them', () => {
    const bench = new Bench();
    const long = pattern(4, 65000);
    bench.feed(Buffer.concat([framed(long, long), framed(long).subarray(0, 64000)]));
    expect(bench.deframer.room).toBeGreaterThan(RECEIVE_BUFFER_LEN / 2);
    expect(recalled(bench)).toEqual([]);
  });
});
