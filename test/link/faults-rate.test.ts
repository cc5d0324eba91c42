import { describe, expect, test } from 'vitest';
import type { Micros } from '../../src/base/clock.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { FaultOptions } from '../../src/link/fault-options.ts';
import { FaultBench, numbered, someNumbered, upTo } from '../support/fault-bench.ts';

/** Wakes whoever waits for a time `late` microseconds after it. */
class LateClock extends ManualClock {
  private readonly late: Micros;

  constructor(late: Micros) {
    super();
    this.late = late;
  }

  override soon(wake: () => void, notBefore = 0): void {
    super.soon(wake, notBefore <= this.micros() ? notBefore : notBefore + this.late);
  }
}

/** When each frame came out for the network. */
function arrivals(bench: FaultBench): Micros[] {
  const at: Micros[] = [];
  bench.sink.onEach = () => at.push(bench.clock.micros());
  return at;
}

describe('rate', () => {
  test('frames leave one after the other, to the microsecond', () => {
    const bench = new FaultBench({ rate: 1e8 });
    const at = arrivals(bench);
    bench.fromGuest(...someNumbered(50, 1250));
    bench.clock.advance(10);
    // 1250 bytes at 100 Mbit/s: 100 us.
    expect(at).toEqual(upTo(50).map((i) => 100 * (i + 1)));
    expect(bench.clock.soonCount).toBe(0);
    expect(bench.host.timers.armed).toBe(0);
  });

  test('a fraction of a microsecond is not lost from frame to frame', () => {
    const bench = new FaultBench({ rate: 3e8 });
    const at = arrivals(bench);
    bench.fromGuest(...someNumbered(900, 1000));
    bench.clock.advance(100);
    expect(at.length).toBe(900);
    // Of a sum of 900 fractions no more is lost than where it is rounded at its end.
    for (const [i, came] of at.entries()) expect(Math.abs(came - (80 * (i + 1)) / 3)).toBeLessThan(1.001);
  });

  test('long and short frames: each takes its own time, and so does a pause', () => {
    const bench = new FaultBench({ rate: 1e6 });
    const at = arrivals(bench);
    bench.fromGuest(numbered(0, 1000), numbered(1, 125));
    bench.clock.advance(20);
    bench.fromGuest(numbered(2, 250));
    bench.clock.advance(20);
    expect(at).toEqual([8000, 9000, 22_000]);
  });

  test('a frame long away is waited for with a timer, only the end with soon', () => {
    const bench = new FaultBench({ rate: 1e6 });
    bench.fromGuest(numbered(0, 1250));
    expect([bench.host.timers.armed, bench.clock.soonCount]).toEqual([1, 0]);
    bench.clock.advance(8.999);
    expect([bench.host.timers.armed, bench.clock.soonCount]).toEqual([1, 0]);
    bench.clock.advance(0.5);
    expect([bench.host.timers.armed, bench.clock.soonCount]).toEqual([0, 1]);
    expect(bench.sink.frames.length).toBe(0);
    bench.clock.advance(0.501);
    expect(bench.sink.frames.length).toBe(1);
    expect([bench.host.timers.armed, bench.clock.soonCount]).toEqual([0, 0]);
  });

  test('whoever is woken late hands on what is due, and is late no more than that', () => {
    const bench = new FaultBench({ rate: 1e8 }, new LateClock(250));
    const at = arrivals(bench);
    bench.fromGuest(...someNumbered(100, 1250));
    bench.clock.advance(20);
    expect(at.length).toBe(100);
    for (const [i, came] of at.entries()) {
      expect(came).toBeGreaterThanOrEqual(100 * (i + 1));
      expect(came).toBeLessThanOrEqual(100 * (i + 1) + 250);
    }
  });

  test('the delay comes behind the rate', () => {
    const bench = new FaultBench({ rate: 1e6, delay: 30 });
    const at = arrivals(bench);
    bench.fromGuest(...someNumbered(3, 125));
    bench.clock.advance(100);
    expect(at).toEqual([31_000, 32_000, 33_000]);
  });

  test('what is picked to be reordered waits for the rate, and skips the delay', () => {
    const bench = new FaultBench({ rate: 1e6, delay: 30, reorder: 1 });
    const at = arrivals(bench);
    bench.fromGuest(...someNumbered(3, 125));
    bench.clock.advance(100);
    expect(at).toEqual([1000, 2000, 3000]);
  });

  test('a second copy takes its time, too', () => {
    const bench = new FaultBench({ rate: 1e6, duplicate: 1 });
    const at = arrivals(bench);
    bench.fromGuest(...someNumbered(2, 125));
    bench.clock.advance(100);
    expect(at).toEqual([1000, 2000, 3000, 4000]);
  });

  test('a lost frame takes none', () => {
    const bench = new FaultBench({ rate: 1e6, loss: 0.5, queue: 100 });
    const at = arrivals(bench);
    bench.fromGuest(...someNumbered(100, 125));
    bench.clock.advance(200);
    expect(at).toEqual(upTo(bench.counts.fromGuest.passed).map((i) => 1000 * (i + 1)));
    expect(bench.counts.fromGuest).toMatchObject({ lost: 100 - at.length, queueFull: 0 });
  });

  test('the other direction has a rate of its own', () => {
    const bench = new FaultBench({ toGuest: { rate: 1e6, queue: 10 } });
    bench.fromGuest(...someNumbered(20, 125));
    bench.allToGuest(someNumbered(20, 125));
    bench.clock.runSoon();
    expect(bench.sink.frames.length).toBe(20);
    bench.clock.advance(100);
    expect(bench.takeNumbers()).toEqual(upTo(11));
  });
});

describe('queue', () => {
  test.each([1, 8, 1000])('%d frames wait behind the one that leaves, the next is dropped', (queue) => {
    const options: FaultOptions = { rate: 1e6, queue };
    const bench = new FaultBench(options);
    bench.allToGuest(someNumbered(queue + 10, 125));
    expect(bench.counts.toGuest).toMatchObject({ queueFull: 9, waiting: queue + 1 });
    bench.clock.advanceMicros(999);
    expect(bench.toGuest(numbered(9000, 125))).toBe(true);
    expect(bench.counts.toGuest.queueFull).toBe(10);
    // The first has left, the second leaves: one place is free, and only one.
    bench.clock.advanceMicros(1);
    bench.allToGuest([numbered(9001, 125), numbered(9002, 125)]);
    expect(bench.counts.toGuest.queueFull).toBe(11);
    bench.clock.advance(queue + 20);
    expect(bench.takeNumbers()).toEqual([...upTo(queue + 1), 9001]);
    expect(bench.counts.toGuest).toMatchObject({ passed: queue + 2, waiting: 0 });
  });

  test('is 1000 by default', () => {
    const bench = new FaultBench({ rate: 1e6 });
    bench.fromGuest(...someNumbered(1500, 60));
    expect(bench.counts.fromGuest).toMatchObject({ queueFull: 499, waiting: 1001 });
  });

  test('frames on their way behind the rate do not count', () => {
    const bench = new FaultBench({ rate: 1e6, queue: 1, delay: 1000 });
    for (const frame of someNumbered(50, 125)) {
      bench.toGuest(frame);
      bench.clock.advance(1);
    }
    expect(bench.counts.toGuest).toMatchObject({ queueFull: 0, waiting: 50 });
  });
});
