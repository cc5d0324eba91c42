import { describe, expect, test } from 'vitest';
import type { FrameRun } from '../../src/base/frame-run.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { memoryOver } from '../../src/base/memory.ts';
import { Budget, TURN_WORK, Turn } from '../../src/base/turn.ts';
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
  readonly turn = new Turn(new ManualClock());
  /** What was offered. */
  readonly runs: FrameRun[] = [];
  /** Frames of each turn. */
  readonly perTurn: number[] = [];

  /** `takes`: frames of each run that are taken at once, when it is offered. */
  constructor(onEach: () => void = () => {}, takes: ((run: FrameRun) => number) | null = null) {
    const onFrames = (run: FrameRun): void => {
      this.runs.push({ ...run });
      for (let n = takes!(run); n > 0; n--) {
        const len = this.memory.view.getUint32(run.at);
        this.got.push(Buffer.from(this.memory.bytes.subarray(run.at + 4, run.at + 4 + len)));
        run.at += 4 + len;
        this.turn.spend(1);
      }
    };
    const sink = {
      ...(takes === null ? {} : { onFrames }),
      onFrame: (off: number, len: number) => {
        expect(off).toBeGreaterThanOrEqual(BASE + 4);
        expect(off + len).toBeLessThanOrEqual(BASE + RECEIVE_BUFFER_LEN);
        this.got.push(Buffer.from(this.memory.bytes.subarray(off, off + len)));
        onEach();
      },
    };
    this.deframer = new Deframer(this.memory, BASE, RECEIVE_BUFFER_LEN, sink, new Budget(this.turn));
  }

  /** Reads `bytes`, as many as there is room for, and passes on what is complete. */
  feed(bytes: Uint8Array): boolean {
    let good = this.receive(bytes);
    while (good && this.deframer.hasMore) good = this.inTurn(() => this.deframer.passOn());
    return good;
  }

  /** Reads `bytes` and passes on what one turn does. */
  receive(bytes: Uint8Array): boolean {
    expect(bytes.length).toBeLessThanOrEqual(this.deframer.room);
    this.memory.bytes.set(bytes, this.deframer.readOff);
    return this.inTurn(() => this.deframer.received(bytes.length));
  }

  inTurn(pass: () => boolean): boolean {
    const before = this.got.length;
    let good = false;
    this.turn.run(() => {
      good = pass();
    });
    this.perTurn.push(this.got.length - before);
    return good;
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
    expectNothingElseTouched(bench);
  });
});

/** Nothing outside of the buffer. */
function expectNothingElseTouched({ memory }: Bench): void {
  expect(memory.bytes.subarray(0, BASE).every((byte) => byte === 0xee)).toBe(true);
  expect(memory.bytes.subarray(BASE + RECEIVE_BUFFER_LEN).every((byte) => byte === 0xee)).toBe(true);
}

describe('what a turn does not get to', () => {
  const small = Array.from({ length: 2000 }, (_, i) => pattern(i, 60));

  test('waits, and is passed on in the turns that follow', () => {
    const bench = new Bench();
    const frames = small.slice(0, 2 * TURN_WORK + 8);
    bench.feed(framed(...frames));
    expect(bench.perTurn).toEqual([TURN_WORK, TURN_WORK, 8]);
    expect(sameFrames(bench.got, frames)).toBe(true);
  });

  test('a frame that costs more than a turn has is the last of its turn, and the next turns have less', () => {
    const bench = new Bench(() => {
      if (bench.got.length === 1) bench.turn.spend(2 * TURN_WORK + TURN_WORK / 2);
    });
    bench.feed(framed(...small.slice(0, TURN_WORK)));
    // One unit for the frame itself, and two turns and a half for what it did.
    expect(bench.perTurn).toEqual([1, 0, TURN_WORK / 2 - 1, TURN_WORK / 2]);
  });

  test('has a place for the next read at any time, and what is read there joins what was left', () => {
    const random = new SeededRandom(8);
    const bench = new Bench();
    const frames = small.map((frame) =>
      random.below(50) === 0 ? pattern(random.below(9), random.below(MAX_STREAM_FRAME + 1)) : frame,
    );
    let pending = framed(...frames);
    const { deframer } = bench;
    while (pending.length > 0) {
      const n = Math.min(
        pending.length,
        random.below(4) === 0 ? 1 + random.below(deframer.room) : deframer.room,
      );
      bench.receive(pending.subarray(0, n));
      pending = pending.subarray(n);
      const { readOff, room } = deframer;
      expect(room).toBeGreaterThanOrEqual(RECEIVE_BUFFER_LEN / 2);
      while (deframer.hasMore) bench.inTurn(() => deframer.passOn());
      expect([deframer.readOff, deframer.room]).toEqual([readOff, room]);
      bench.memory.bytes.fill(random.word(), readOff, readOff + room);
    }
    expect(sameFrames(bench.got, frames)).toBe(true);
    expectNothingElseTouched(bench);
  });

  test('is not passed on after stop(), nor behind a length that is none', () => {
    const stopped = new Bench();
    stopped.receive(framed(...small.slice(0, 100)));
    stopped.deframer.stop();
    expect(stopped.deframer.hasMore).toBe(false);
    expect(stopped.inTurn(() => stopped.deframer.passOn())).toBe(true);
    expect(stopped.got.length).toBe(TURN_WORK);
    expectNothingElseTouched(stopped);
    const broken = new Bench();
    const bad = Buffer.from('ffffffff', 'hex');
    expect(broken.receive(Buffer.concat([framed(...small.slice(0, TURN_WORK + 6)), bad]))).toBe(true);
    expect(broken.inTurn(() => broken.deframer.passOn())).toBe(false);
    expect(broken.got.length).toBe(TURN_WORK + 6);
    expect(broken.deframer.hasMore).toBe(false);
    // Far more behind it than the longest frame has.
    const long = new Bench();
    const rest = Buffer.alloc(RECEIVE_BUFFER_LEN / 2 - 5000);
    expect(long.receive(Buffer.concat([framed(...small.slice(0, TURN_WORK + 6)), bad, rest]))).toBe(true);
    expect(long.inTurn(() => long.deframer.passOn())).toBe(false);
    expectNothingElseTouched(long);
  });
});

/** How many whole frames there are in `run`, as far as it goes. */
function wholeFrames({ at, end, most }: FrameRun): number {
  let count = 0;
  for (let off = at; count < most && off + 4 <= end; count++) {
    off += 4 + memory.view.getUint32(off);
    if (off > end) break;
  }
  return count;
}

describe('onFrames(): what lies behind a frame is offered', () => {
  const frames = Array.from({ length: 40 }, (_, i) => pattern(i, 60 + i));

  test('all of it that has come, half a frame included; what is not taken comes one by one', () => {
    const bench = new Bench(undefined, () => 0);
    const stream = framed(...frames.slice(0, 3));
    bench.feed(stream.subarray(0, stream.length - 10));
    expect(sameFrames(bench.got, frames.slice(0, 2))).toBe(true);
    const [one, other] = bench.runs as [FrameRun, FrameRun];
    expect([other.at - one.at, one.end - one.at]).toEqual([4 + 61, 4 + 61 + 4 + 62 - 10]);
    expect(other.end).toBe(one.end);
    expect([one.most, other.most]).toEqual([TURN_WORK - 1, TURN_WORK - 2]);
    bench.feed(stream.subarray(stream.length - 10));
    expect(sameFrames(bench.got, frames.slice(0, 3))).toBe(true);
    expect(bench.runs.length).toBe(2);
  });

  test('what is taken is not passed on again, and the stream stays in step wherever it is cut', () => {
    const random = new SeededRandom(5);
    const stream = framed(...frames);
    for (let cut = 0; cut <= stream.length; cut += 13) {
      const bench = new Bench(undefined, (run) => random.below(wholeFrames(run) + 1));
      expect(bench.feed(stream.subarray(0, cut)) && bench.feed(stream.subarray(cut))).toBe(true);
      expect(sameFrames(bench.got, frames)).toBe(true);
    }
  });

  test("no more of them than the turn's budget has left", () => {
    const many = Array.from({ length: 2 * TURN_WORK + 8 }, (_, i) => pattern(i, 60));
    const bench = new Bench(undefined, wholeFrames);
    bench.feed(framed(...many));
    expect(bench.perTurn).toEqual([TURN_WORK, TURN_WORK, 8]);
    expect(bench.runs.map(({ most }) => most)).toEqual([TURN_WORK - 1, TURN_WORK - 1, TURN_WORK - 1]);
    expect(sameFrames(bench.got, many)).toBe(true);
    const costly = new Bench(() => costly.turn.spend(TURN_WORK), wholeFrames);
    costly.receive(framed(...frames));
    expect(costly.runs.map(({ most }) => most)).toEqual([0]);
  });

  test('not where nothing has come behind it, nor after a length that is none', () => {
    const bench = new Bench(undefined, wholeFrames);
    bench.feed(framed(frames[0]!));
    expect(bench.runs).toEqual([]);
    expect(bench.feed(Buffer.concat([framed(frames[1]!), Buffer.from('ffffffff00', 'hex')]))).toBe(false);
    expect(sameFrames(bench.got, frames.slice(0, 2))).toBe(true);
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

  test('the frames of a run that were taken too', () => {
    const bench = new Bench(
      () => {
        if (bench.got.length === 4) throw new Error('a bug');
      },
      (run) => Math.min(2, wholeFrames(run)),
    );
    expect(() => bench.feed(framed(a, b, c, b, a))).toThrow('a bug');
    expect(sameFrames(recalled(bench), [a, b, c, b])).toBe(true);
    const inRun = new Bench(undefined, () => {
      throw new Error('a bug');
    });
    expect(() => inRun.feed(framed(a, b))).toThrow('a bug');
    expect(sameFrames(recalled(inRun), [a, b])).toBe(true);
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
    const half = Math.floor(RECEIVE_BUFFER_LEN / 2 / (long.length + 4));
    const stream = framed(...Array.from({ length: 2 * half + 1 }, () => long));
    bench.feed(stream.subarray(0, RECEIVE_BUFFER_LEN / 2));
    expect(
      sameFrames(
        recalled(bench),
        Array.from({ length: half }, () => long),
      ),
    ).toBe(true);
    bench.feed(stream.subarray(RECEIVE_BUFFER_LEN / 2, RECEIVE_BUFFER_LEN));
    expect(bench.deframer.room).toBe(RECEIVE_BUFFER_LEN - MAX_STREAM_FRAME - 4);
    expect(recalled(bench)).toEqual([]);
  });
});
