import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Gaps } from '../../src/tcp/gaps.ts';

function ranges(gaps: Gaps): [number, number][] {
  return Array.from({ length: gaps.count }, (_, i) => [gaps.left(i), gaps.right(i)]);
}

/** Maximal runs of a set of numbers. */
function runs(set: Set<number>): [number, number][] {
  const out: [number, number][] = [];
  for (const n of [...set].sort((a, b) => a - b)) {
    const last = out.at(-1);
    if (last !== undefined && last[1] === n) last[1] = n + 1;
    else out.push([n, n + 1]);
  }
  return out;
}

test('ranges that touch or overlap are one', () => {
  const gaps = new Gaps();
  gaps.add(10, 20);
  gaps.add(30, 40);
  gaps.add(20, 25);
  expect(ranges(gaps)).toEqual([
    [10, 25],
    [30, 40],
  ]);
  gaps.add(24, 30);
  expect(ranges(gaps)).toEqual([[10, 40]]);
  expect(gaps.joinFrom(5)).toBe(5);
  expect(gaps.joinFrom(12)).toBe(40);
  expect(gaps.count).toBe(0);
});

test('RFC 2018 4: recentIndex is the range that changed last, also when it has merged', () => {
  const gaps = new Gaps();
  gaps.add(10, 20);
  gaps.add(30, 40);
  gaps.add(50, 60);
  expect(gaps.recentIndex).toBe(2);
  gaps.add(20, 22);
  expect(gaps.recentIndex).toBe(0);
  gaps.add(40, 50);
  expect(ranges(gaps)[gaps.recentIndex]).toEqual([30, 60]);
  gaps.joinFrom(22);
  expect(gaps.recentIndex).toBe(0);
});

test('a full list refuses a new range, and takes what merges', () => {
  const gaps = new Gaps();
  for (let i = 0; i < 32; i++) expect(gaps.add(10 * i, 10 * i + 5)).toBe(true);
  expect(gaps.add(1000, 1001)).toBe(false);
  expect(gaps.count).toBe(32);
  expect(gaps.add(5, 10)).toBe(true);
  expect(gaps.count).toBe(31);
  expect(gaps.add(1000, 1001)).toBe(true);
});

test.each([0, -50, 0x7fffff80, 0xffffffa0 | 0])(
  'from %i on, it is the set of numbers that were added',
  (base) => {
    const at = (n: number) => (base + n) | 0;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(150), fc.integer({ min: 1, max: 12 }), fc.boolean()), { maxLength: 60 }),
        (steps) => {
          const gaps = new Gaps();
          const set = new Set<number>();
          for (const [from, len, join] of steps) {
            if (join) {
              const end = gaps.joinFrom(at(from));
              let expected = from;
              while (set.has(expected)) expected++;
              // What lay before `from` is forgotten too.
              for (const n of [...set]) if (n < expected) set.delete(n);
              const straddles = runs(set).find(([left]) => left <= from);
              expect(straddles).toBe(undefined);
              expect(end).toBe(at(expected));
            } else if (gaps.add(at(from), at(from + len))) for (let n = from; n < from + len; n++) set.add(n);
            else expect(runs(set).length).toBe(32);
            expect(ranges(gaps)).toEqual(runs(set).map(([left, right]) => [at(left), at(right)]));
            const last = runs(set).at(-1)?.[1] ?? 0;
            expect(gaps.reachBeyond(at(last))).toBe(false);
            expect(gaps.reachBeyond(at(last - 1))).toBe(set.size > 0);
          }
        },
      ),
    );
  },
);
