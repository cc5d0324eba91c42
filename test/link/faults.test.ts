import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { FaultOptions } from '../../src/link/fault-options.ts';
import { faultyLink } from '../../src/link/faults.ts';
import { createPair } from '../../src/link/pair.ts';
import { FaultBench, numbered, numbersOf, someNumbered, upTo } from '../support/fault-bench.ts';
import { newHost, pattern, RecordingSink, sameFrames, sendFrame } from '../support/link-bench.ts';
import { SeededRandom } from '../support/seeded-random.ts';

/** How far a count of `n` trials of probability `p` may be from n*p: five standard deviations, one in two million. */
function within(n: number, p: number): number {
  return 5 * Math.sqrt(n * p * (1 - p));
}

function expectShare(count: number, n: number, p: number): void {
  expect(Math.abs(count - n * p)).toBeLessThanOrEqual(within(n, p));
}

describe('how many', () => {
  const N = 20_000;

  /** N frames each way, some in a turn. */
  function runMany(options: FaultOptions): FaultBench {
    const bench = new FaultBench(options);
    for (let i = 0; i < N; i += 20) {
      bench.allToGuest(upTo(20).map((k) => numbered(i + k)));
      bench.fromGuest(...upTo(20).map((k) => numbered(i + k)));
      bench.clock.advance(1);
    }
    bench.clock.advance(1000);
    return bench;
  }

  test.each([0.01, 0.2, 0.9])('loss %d: so many are lost, in each direction on its own', (loss) => {
    const { counts, raw, sink } = runMany({ loss });
    for (const [lane, frames] of [
      [counts.toGuest, raw.frames] as const,
      [counts.fromGuest, sink.frames] as const,
    ]) {
      expectShare(lane.lost, N, loss);
      expect(lane.passed + lane.lost).toBe(N);
      expect(frames.length).toBe(lane.passed);
    }
    expect(numbersOf(raw.frames)).not.toEqual(numbersOf(sink.frames));
  });

  test('loss 1 loses all, loss 0 none', () => {
    expect(runMany({ loss: 1 }).counts.toGuest).toMatchObject({ passed: 0, lost: N });
    expect(runMany({}).counts.fromGuest).toMatchObject({ passed: N, lost: 0 });
  });

  test('duplicate: the second copy comes right behind the first', () => {
    const { counts, raw } = runMany({ duplicate: 0.1, delay: 3 });
    expectShare(counts.toGuest.duplicated, N, 0.1);
    expect(raw.frames.length).toBe(N + counts.toGuest.duplicated);
    const numbers = numbersOf(raw.frames);
    expect(numbers.every((n, i) => i === 0 || n === numbers[i - 1] || n === numbers[i - 1]! + 1)).toBe(true);
    const second = raw.frames.findIndex((frame, i) => i > 0 && frame.readUInt32BE() === numbers[i - 1]);
    expect(raw.frames[second]).toEqual(raw.frames[second - 1]);
  });

  test('corrupt: one bit is flipped, any bit', () => {
    const { counts, raw, sink } = runMany({ corrupt: 0.2 });
    for (const [lane, frames] of [
      [counts.toGuest, raw.frames] as const,
      [counts.fromGuest, sink.frames] as const,
    ]) {
      expectShare(lane.corrupted, N, 0.2);
      expect(frames.length).toBe(N);
      const hits = new Array<number>(480).fill(0);
      for (const [i, frame] of frames.entries())
        for (const bit of bitsThatDiffer(frame, numbered(i))) hits[bit]!++;
      expect(hits.reduce((a, b) => a + b)).toBe(lane.corrupted);
      // Each of the 480 bits is hit about 8 times: none is left out by design. (One is by chance once in 3000 times.)
      expect(hits.filter((n) => n === 0).length).toBeLessThan(5);
      expect(Math.max(...hits)).toBeLessThan(30);
    }
  });

  test('a copy of a corrupted frame is intact', () => {
    const { raw } = runMany({ corrupt: 1, duplicate: 1 });
    expect(raw.frames.length).toBe(2 * N);
    for (const [i, frame] of raw.frames.entries())
      expect(bitsThatDiffer(frame, numbered(i >> 1)).length).toBe(i % 2 === 0 ? 1 : 0);
  });

  test('reorder: so many are early, all come', () => {
    const { counts, raw } = runMany({ reorder: 0.25, delay: 10 });
    expectShare(counts.toGuest.reordered, N, 0.25);
    const numbers = numbersOf(raw.frames);
    expect(numbers).not.toEqual(upTo(N));
    expect([...numbers].sort((a, b) => a - b)).toEqual(upTo(N));
  });

  test('a direction has figures of its own', () => {
    const { counts } = runMany({ loss: 0.5, fromGuest: { loss: 0 } });
    expectShare(counts.toGuest.lost, N, 0.5);
    expect(counts.fromGuest).toMatchObject({ lost: 0, passed: N });
  });
});

function bitsThatDiffer(a: Buffer, b: Buffer): number[] {
  const bits: number[] = [];
  for (const [i, byte] of a.entries()) {
    if (byte === b[i]) continue;
    for (let k = 0; k < 8; k++) if (((byte ^ b[i]!) >>> k) & 1) bits.push(8 * i + k);
  }
  return bits;
}

describe('the same again', () => {
  const options = { loss: 0.1, duplicate: 0.1, reorder: 0.1, corrupt: 0.1 };

  /** What comes out, as a set of frames in the order of their numbers: the fates, whatever the time. */
  function fates(more: FaultOptions, timing: (n: number) => number): string[][] {
    const bench = new FaultBench({ ...options, ...more });
    for (const frame of someNumbered(1000)) {
      bench.toGuest(frame);
      bench.fromGuest(frame);
      bench.clock.advance(timing(frame.readUInt32BE()));
    }
    bench.clock.advance(1000);
    return [bench.raw.frames, bench.sink.frames].map((frames) => frames.map((f) => f.toString('hex')));
  }

  const sorted = (all: string[][]): string[][] => all.map((frames) => [...frames].sort());

  test('one seed: bit for bit the same, in the same order', () => {
    expect(fates({ seed: 7 }, () => 1)).toEqual(fates({ seed: 7 }, () => 1));
    expect(fates({ seed: 7, delay: 5, jitter: 5 }, () => 1)).toEqual(
      fates({ seed: 7, delay: 5, jitter: 5 }, () => 1),
    );
  });

  test('another seed: another fate; without one it is seed 1', () => {
    expect(fates({ seed: 7 }, () => 1)).not.toEqual(fates({ seed: 8 }, () => 1));
    expect(fates({ seed: 1 }, () => 1)).toEqual(fates({}, () => 1));
  });

  test('the time at which a frame comes, delay and rate change nothing about its fate', () => {
    const random = new SeededRandom(3);
    const still = sorted(fates({ seed: 7 }, () => 1));
    expect(sorted(fates({ seed: 7 }, () => random.below(9)))).toEqual(still);
    expect(sorted(fates({ seed: 7, delay: 20, jitter: 9 }, () => 0))).toEqual(still);
    expect(sorted(fates({ seed: 7, rate: 1e7 }, () => 1))).toEqual(still);
  });

  test('nor does what is in it, or what the other faults are', () => {
    const lost = (faults: FaultOptions, len: number): number[] => {
      const bench = new FaultBench({ ...faults, seed: 7 });
      for (const frame of someNumbered(500, len)) bench.toGuest(frame);
      return bench.takeNumbers();
    };
    expect(lost({ loss: 0.2 }, 60)).toEqual(lost({ loss: 0.2 }, 1514));
    const others = { duplicate: 0.3, reorder: 0, corrupt: 0 };
    expect([...new Set(lost({ loss: 0.2, ...others }, 60))]).toEqual(lost({ loss: 0.2 }, 60));
  });
});

describe('delay', () => {
  test('is what it says in both directions, a turn for all that are due', () => {
    const bench = new FaultBench({ delay: 20 });
    let turns = 0;
    const eachTurn = { flush: () => turns++ };
    bench.sink.onEach = () => bench.host.turn.wantFlush(eachTurn);
    bench.fromGuest(...someNumbered(5));
    bench.allToGuest(someNumbered(5));
    bench.clock.advance(19.999);
    expect([bench.sink.frames.length, bench.raw.frames.length]).toEqual([0, 0]);
    expect(bench.counts.toGuest.waiting).toBe(5);
    bench.clock.advanceMicros(1);
    expect(bench.takeNumbers()).toEqual(upTo(5));
    expect(numbersOf(bench.sink.frames)).toEqual(upTo(5));
    expect(turns).toBe(1);
    expect(bench.host.timers.armed).toBe(0);
    expect(bench.clock.soonCount).toBe(0);
  });

  test.each([
    [0.1, 0],
    [1, 0],
    [4.5, 0.4],
    [0, 0.1],
  ])('delay %d, jitter %d: released at their microsecond, with a rate or without', (delay, jitter) => {
    const [plain, rated] = [{}, { rate: 1e11 }].map((more) => {
      const bench = new FaultBench({ delay, jitter, ...more });
      const took: number[] = [];
      for (let i = 0; i < 50; i++) {
        const from = bench.clock.micros();
        bench.sink.onEach = () => took.push(bench.clock.micros() - from);
        bench.fromGuest(numbered(i));
        // So that they come at any part of a millisecond.
        bench.clock.advance(7.13);
      }
      expect(bench.host.timers.armed).toBe(0);
      expect(bench.clock.soonCount).toBe(0);
      return took;
    });
    for (const took of [plain!, rated!]) {
      expect(took.length).toBe(50);
      expect(Math.min(...took)).toBeGreaterThanOrEqual(1000 * Math.max(0, delay - jitter));
      expect(Math.max(...took)).toBeLessThanOrEqual(1000 * (delay + jitter) + 1);
    }
    for (const [i, took] of plain!.entries()) expect(Math.abs(took - rated![i]!)).toBeLessThanOrEqual(1);
  });

  test('a short delay keeps nobody busy but for its last 1.5 ms, and an idle link never', () => {
    const bench = new FaultBench({ delay: 4 });
    expect([bench.host.timers.armed, bench.clock.soonCount]).toEqual([0, 0]);
    bench.toGuest(numbered(0));
    bench.clock.advance(2.4);
    expect([bench.host.timers.armed, bench.clock.soonCount]).toEqual([1, 0]);
    bench.clock.advance(1.5);
    expect([bench.host.timers.armed, bench.clock.soonCount]).toEqual([0, 1]);
    bench.clock.advanceMicros(100);
    expect(bench.takeNumbers()).toEqual([0]);
    expect([bench.host.timers.armed, bench.clock.soonCount]).toEqual([0, 0]);
  });

  test.each([{ delay: 5 }, { delay: 3, jitter: 2 }])(
    '%j and no rate: waiting is one timer, however many are on their way',
    (options) => {
      const bench = new FaultBench(options);
      for (const frame of someNumbered(100)) {
        bench.fromGuest(frame);
        expect(bench.host.timers.armed).toBe(1);
        expect(bench.clock.soonCount).toBe(0);
        bench.clock.advance(1);
      }
    },
  );

  test('frames keep their order, so many of them at once are on their way for more than `delay` on average', () => {
    const mean = (apart: number): number => {
      const bench = new FaultBench({ delay: 20, jitter: 10 });
      const took: number[] = [];
      bench.sink.onEach = (frame) => took.push(bench.clock.now() - frame.readUInt32BE());
      for (let i = 0; i < 1000; i++) {
        bench.fromGuest(numbered(bench.clock.now()));
        bench.clock.advance(apart);
      }
      return took.reduce((a, b) => a + b) / took.length;
    };
    expect(mean(40)).toBeLessThan(21.5);
    expect(mean(1)).toBeGreaterThan(24);
    expect(mean(1)).toBeLessThanOrEqual(31);
  });

  test('without a rate, waiting is one timer and nothing else', () => {
    const bench = new FaultBench({ delay: 7.5 });
    bench.toGuest(numbered(0));
    expect(bench.host.timers.armed).toBe(1);
    expect(bench.clock.soonCount).toBe(0);
    bench.clock.advance(7.5);
    expect(bench.raw.frames.length).toBe(0);
    // Due in the middle of a millisecond, it comes at its end.
    bench.clock.advance(0.5);
    expect(bench.raw.frames.length).toBe(1);
  });

  test('jitter spreads frames over the whole range, and keeps their order', () => {
    const bench = new FaultBench({ delay: 20, jitter: 10 });
    const took: number[] = [];
    bench.sink.onEach = (frame) => took.push(bench.clock.now() - frame.readUInt32BE());
    // 40 ms apart none meets another, so none is held up by one before it.
    for (let i = 0; i < 2000; i++) {
      bench.fromGuest(numbered(bench.clock.now()));
      bench.clock.advance(40);
    }
    expect(took.length).toBe(2000);
    expect(Math.min(...took)).toBe(11);
    expect(Math.max(...took)).toBe(30);
    const mean = took.reduce((a, b) => a + b) / 2000;
    // Uniform over 20 ms: a deviation of 5.8 ms; half a millisecond is rounded up.
    expect(Math.abs(mean - 20.5)).toBeLessThan((5 * 5.8) / Math.sqrt(2000));
    const close = new FaultBench({ delay: 20, jitter: 20 });
    for (const frame of someNumbered(1000)) {
      close.toGuest(frame);
      close.clock.advance(1);
    }
    close.clock.advance(50);
    expect(close.takeNumbers()).toEqual(upTo(1000));
  });

  test('more jitter than delay is none, not less than none', () => {
    const bench = new FaultBench({ delay: 1, jitter: 50 });
    for (const frame of someNumbered(100)) {
      bench.toGuest(frame);
      bench.clock.advance(60);
    }
    expect(bench.takeNumbers()).toEqual(upTo(100));
  });
});

test('recall: frames that the turn that threw had passed on, then those that wait for the guest', () => {
  const bench = new FaultBench({ delay: 5 });
  bench.allToGuest(someNumbered(2));
  bench.fromGuest(...someNumbered(4));
  bench.sink.onEach = (frame) => {
    if (frame.readUInt32BE() === 2) throw new Error('a bug');
  };
  expect(() => bench.clock.advance(5)).toThrow('a bug');
  const shown: string[] = [];
  bench.link.recall?.((direction, memory, off) => shown.push(`${direction} ${memory.view.getUint32(off)}`));
  expect(shown.filter((line) => line.startsWith('from'))).toEqual([
    'from-guest 0',
    'from-guest 1',
    'from-guest 2',
  ]);
  // What comes after it is not lost.
  bench.clock.advance(1);
  expect(numbersOf(bench.sink.frames)).toEqual([0, 1, 2, 3]);
});

test('over a pair, whole frames arrive as they were sent, both ways', () => {
  const clock = new ManualClock();
  const host = newHost(clock);
  const guestHost = newHost(clock);
  const { link, peer } = createPair('guest0', 1514);
  const faulty = faultyLink(link, { delay: 2, jitter: 1, rate: 1e8 });
  const [sink, guest] = [new RecordingSink(host), new RecordingSink(guestHost)];
  faulty.attach(sink, host);
  peer.attach(guest, guestHost);
  expect([faulty.name, faulty.maxFrame]).toEqual(['guest0', 1514]);
  const frames = upTo(300).map((i) => pattern(i, 60 + ((i * 37) % 1455)));
  for (const frame of frames) {
    sendFrame(faulty, host, frame);
    sendFrame(peer, guestHost, frame);
  }
  clock.advance(100);
  expect(sameFrames(sink.frames, frames)).toBe(true);
  expect(sameFrames(guest.frames, frames)).toBe(true);
});
