import { describe, expect, test } from 'vitest';
import { Fate } from '../../src/link/fault-lane.ts';
import type { FaultOptions } from '../../src/link/fault-options.ts';
import { FaultBench, numbered, someNumbered, upTo } from '../support/fault-bench.ts';

/** Which of `count` frames the seed picks, whatever time it is. */
function picked(reorder: number, seed: number, count: number): boolean[] {
  const fate = new Fate({ reorder }, seed, 0);
  return upTo(count).map(() => {
    fate.draw();
    return fate.isReordered;
  });
}

/** In which order frames leave when each that is picked goes right behind the next that is not. */
function overtaken(picks: readonly boolean[]): { order: number[]; left: number[] } {
  const order: number[] = [];
  let left: number[] = [];
  for (const [n, isPicked] of picks.entries()) {
    if (isPicked) left.push(n);
    else {
      order.push(n, ...left);
      left = [];
    }
  }
  return { order, left };
}

describe('with a delay', () => {
  test('overtakes what waits, by all of the delay', () => {
    const bench = new FaultBench({ reorder: 0.1, delay: 10, seed: 2 });
    for (const frame of someNumbered(100)) {
      bench.toGuest(frame);
      bench.clock.advance(1);
    }
    const early: number[] = [];
    const seen: number[] = [];
    bench.clock.advance(20);
    for (const n of bench.takeNumbers()) {
      if (n > seen.length) early.push(n);
      seen.push(n);
    }
    expect(bench.counts.toGuest.reordered).toBeGreaterThan(3);
    const inOrder = seen.filter((n) => !early.includes(n));
    expect(inOrder).toEqual([...inOrder].sort((a, b) => a - b));
  });

  test('all of them: none has anything to overtake', () => {
    const bench = new FaultBench({ reorder: 1, delay: 10 });
    bench.allToGuest(someNumbered(50));
    bench.clock.runSoon();
    expect(bench.takeNumbers()).toEqual(upTo(50));
    expect(bench.counts.toGuest).toMatchObject({ passed: 50, reordered: 0 });
  });

  test('counted is who overtook somebody', () => {
    const bench = new FaultBench({ reorder: 0.5, delay: 10, seed: 3 });
    const picks = picked(0.5, 3, 200);
    let waiting = 0;
    let overtook = 0;
    for (const [n, isPicked] of picks.entries()) {
      // Every fifth frame finds the line empty.
      if (n % 5 === 0) bench.clock.advance(20);
      if (n % 5 === 0) waiting = 0;
      bench.toGuest(numbered(n));
      if (isPicked && waiting > 0) overtook++;
      if (!isPicked) waiting++;
    }
    expect(overtook).toBeLessThan(picks.filter((is) => is).length);
    expect(bench.counts.toGuest.reordered).toBe(overtook);
  });
});

describe('without a delay', () => {
  test('a frame is held until the next has passed, or 3 ms', () => {
    const bench = new FaultBench({ reorder: 0.3, seed: 5 });
    const gone: number[] = [];
    for (const frame of someNumbered(200)) {
      bench.toGuest(frame);
      gone.push(...bench.takeNumbers());
    }
    bench.clock.advance(2.999);
    expect(bench.raw.frames.length).toBe(0);
    const held = 200 - gone.length;
    bench.clock.advance(0.001);
    gone.push(...bench.takeNumbers());
    expect(gone.length).toBe(200);
    expect(held).toBeLessThan(10);
    expect(gone).not.toEqual(upTo(200));
    // A frame that was not picked comes at once; those held for it right behind it, in their order.
    for (let at = 0; at < 200; ) {
      let end = at + 1;
      while (end < 200 && gone[end]! < gone[at]!) end++;
      expect(gone.slice(at, end)).toEqual([at + end - at - 1, ...upTo(end - at - 1).map((k) => at + k)]);
      at = end;
    }
  });

  test.each<FaultOptions>([
    {},
    { rate: 1e5 },
    { rate: 1e6 },
    { rate: 4e6 },
    { rate: 1e8 },
    { jitter: 50 },
    { jitter: 0.5, rate: 1e6 },
    { jitter: 50, rate: 1e7 },
  ])('a frame is held for the next that is not, and goes right behind it: %o', (options) => {
    const bench = new FaultBench({ ...options, reorder: 0.4, seed: 9 });
    bench.allToGuest(someNumbered(300, 125));
    bench.clock.advance(10_000);
    const { order, left } = overtaken(picked(0.4, 9, 300));
    expect(bench.takeNumbers()).toEqual([...order, ...left]);
    const { reordered, passed } = bench.counts.toGuest;
    expect(passed).toBe(300);
    expect(reordered).toBe(picked(0.4, 9, 300).filter((is) => is).length - left.length);
  });

  test.each<FaultOptions>([{ rate: 1e6 }, { jitter: 1 }, { rate: 1e6, jitter: 0.2 }])(
    'so it is for frames that come one by one: %o',
    (options) => {
      const bench = new FaultBench({ ...options, reorder: 0.2, seed: 9 });
      const picks = picked(0.2, 9, 300);
      for (const frame of someNumbered(300, 125)) {
        bench.toGuest(frame);
        bench.clock.advanceMicros(700);
      }
      bench.clock.advance(1000);
      const { order, left } = overtaken(picks);
      expect(bench.takeNumbers()).toEqual([...order, ...left]);
    },
  );

  test('the limit counts from when the frame has left, and while nothing is behind it', () => {
    // The first of seed 8 is picked, the second is not.
    expect(picked(0.4, 8, 2)).toEqual([true, false]);
    for (const [after, out] of [
      [14_999, [1, 0]],
      [15_001, [0, 1]],
    ] as const) {
      const bench = new FaultBench({ rate: 1e6, reorder: 0.4, seed: 8 });
      bench.toGuest(numbered(0, 1500));
      bench.clock.advanceMicros(after);
      expect(bench.takeNumbers()).toEqual(after < 15_000 ? [] : [0]);
      bench.toGuest(numbered(1, 1500));
      // It leaves for twelve milliseconds more.
      bench.clock.advanceMicros(11_998);
      expect(bench.takeNumbers()).toEqual([]);
      bench.clock.advance(1);
      expect(bench.takeNumbers()).toEqual(after < 15_000 ? out : [1]);
      expect(bench.counts.toGuest.reordered).toBe(after < 15_000 ? 1 : 0);
    }
  });

  test('with jitter, a frame that nothing follows does not overtake those before it', () => {
    for (const seed of upTo(200)) {
      const [a, b] = picked(0.4, seed, 2);
      if (a || !b) continue;
      const bench = new FaultBench({ jitter: 50, reorder: 0.4, seed });
      bench.allToGuest(someNumbered(2));
      const recalled: number[] = [];
      bench.link.recall?.((_direction, memory, off) => recalled.push(memory.view.getUint32(off)));
      bench.clock.advance(100);
      expect(bench.takeNumbers()).toEqual([0, 1]);
      // Oldest first; what does not wait is not there.
      expect([[0, 1], [1]]).toContainEqual(recalled);
      expect(bench.counts.toGuest.reordered).toBe(0);
    }
  });

  test('a lost frame is nobody to be held for', () => {
    const options = { loss: 0.5, reorder: 0.4, seed: 4 };
    const bench = new FaultBench(options);
    const fate = new Fate(options, 4, 0);
    const through: number[] = [];
    const picks = upTo(200).flatMap((n) => {
      fate.draw();
      if (!fate.isLost) through.push(n);
      return fate.isLost ? [] : [fate.isReordered];
    });
    bench.allToGuest(someNumbered(200));
    bench.clock.advance(10);
    const { order, left } = overtaken(picks);
    expect(bench.takeNumbers()).toEqual([...order, ...left].map((i) => through[i]));
  });

  test('the inner link is full for a while: in the same order', () => {
    const bench = new FaultBench({ reorder: 0.4, seed: 9, rate: 1e7 });
    bench.raw.full = true;
    for (const frame of someNumbered(100)) {
      bench.toGuest(frame);
      bench.clock.advanceMicros(100);
    }
    bench.clock.advance(100);
    bench.raw.hasRoom();
    bench.clock.advance(100);
    const { order, left } = overtaken(picked(0.4, 9, 100));
    expect(bench.takeNumbers()).toEqual([...order, ...left]);
  });

  test('one seed, one timing: the same to the bit, counters included', () => {
    const run = (): unknown => {
      const bench = new FaultBench({ reorder: 0.3, jitter: 4, rate: 2e6, duplicate: 0.1, seed: 12 });
      for (const frame of someNumbered(500, 200)) {
        bench.toGuest(frame);
        bench.clock.advanceMicros(900);
      }
      bench.clock.advance(1000);
      return [bench.takeNumbers(), bench.counts];
    };
    expect(run()).toEqual(run());
  });

  test('all of them: each is held, none overtaken', () => {
    const bench = new FaultBench({ reorder: 1, rate: 1e6 });
    bench.allToGuest(someNumbered(50, 125));
    bench.clock.advance(53);
    expect(bench.takeNumbers()).toEqual(upTo(50));
    expect(bench.counts.toGuest).toMatchObject({ passed: 50, reordered: 0, waiting: 0 });
  });
});
