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

/** Left edges of what pick() says, in its order. */
function lefts(gaps: Gaps, room: number, except = -1): number[] {
  const to = new Int32Array(4);
  const n = gaps.pick(to, room, except);
  return [...to.subarray(0, n)].map((i) => gaps.left(i));
}

test('RFC 2018 4: the range that changed last comes first, also when it has merged', () => {
  const gaps = new Gaps();
  for (const from of [10, 30, 50]) gaps.add(from, from + 10);
  expect(lefts(gaps, 3)).toEqual([50, 30, 10]);
  gaps.add(20, 22);
  expect(lefts(gaps, 3)).toEqual([10, 50, 30]);
  gaps.add(40, 50);
  expect(lefts(gaps, 3)).toEqual([30, 10]);
  gaps.joinFrom(22);
  expect(lefts(gaps, 3)).toEqual([30]);
});

test('news that does not fit is picked oldest first, until all of it was said', () => {
  const gaps = new Gaps();
  for (let i = 0; i < 8; i++) gaps.add(20 * i, 20 * i + 10);
  const said: number[][] = [];
  while (gaps.hasNews) said.push(lefts(gaps, 3));
  expect(said).toEqual([
    [40, 20, 0],
    [100, 80, 60],
    [140, 120, 100],
  ]);
  gaps.add(50, 52);
  expect(gaps.hasNews).toBe(true);
  expect(lefts(gaps, 3)).toEqual([40, 140, 120]);
  expect(gaps.hasNews).toBe(false);
});

test('a range that was said elsewhere is left out', () => {
  const gaps = new Gaps();
  for (const from of [10, 30, 50]) gaps.add(from, from + 10);
  expect(lefts(gaps, 3, 1)).toEqual([50, 10]);
  expect(gaps.hasNews).toBe(false);
});

test('news of a gap that has closed is none', () => {
  const gaps = new Gaps();
  gaps.add(10, 20);
  expect(gaps.hasNews).toBe(true);
  expect(gaps.joinFrom(10)).toBe(20);
  expect(gaps.hasNews).toBe(false);
});

test('RFC 2883: add() tells what of it had come before', () => {
  const gaps = new Gaps();
  const told = (from: number, to: number): [number, number] | null => {
    gaps.add(from, to);
    return gaps.duplicateFrom === gaps.duplicateTo ? null : [gaps.duplicateFrom, gaps.duplicateTo];
  };
  expect(told(10, 20)).toBe(null);
  expect(told(20, 30)).toBe(null);
  expect(told(12, 18)).toEqual([12, 18]);
  expect(told(25, 35)).toEqual([25, 30]);
  expect(told(5, 12)).toEqual([10, 12]);
  gaps.add(50, 60);
  // Two parts of it: the first.
  expect(told(30, 55)).toEqual([30, 35]);
  expect(told(70, 80)).toBe(null);
});

test('RFC 2883 4: a duplicate is said once, what follows on it with it; a few wait', () => {
  const gaps = new Gaps();
  expect(gaps.hasDuplicates).toBe(false);
  gaps.noteDuplicate(10, 20);
  gaps.noteDuplicate(20, 30);
  for (let i = 1; i < 10; i++) gaps.noteDuplicate(100 * i, 100 * i + 1);
  const said: (readonly [number, number])[] = [];
  for (; gaps.hasDuplicates; gaps.dropDuplicate()) said.push(gaps.firstDuplicate);
  expect(said).toEqual([
    [10, 30],
    [100, 101],
    [200, 201],
    [300, 301],
  ]);
});

test('rangeOf: the range that holds all of it', () => {
  const gaps = new Gaps();
  gaps.add(10, 20);
  gaps.add(30, 40);
  expect([gaps.rangeOf(10, 20), gaps.rangeOf(32, 33), gaps.rangeOf(30, 40)]).toEqual([0, 1, 1]);
  expect([gaps.rangeOf(9, 12), gaps.rangeOf(18, 22), gaps.rangeOf(20, 30), gaps.rangeOf(39, 41)]).toEqual([
    -1, -1, -1, -1,
  ]);
});

test('a full list of 256 refuses a new range, and takes what merges', () => {
  const gaps = new Gaps();
  for (let i = 0; i < 256; i++) expect(gaps.add(10 * i, 10 * i + 5)).toBe(true);
  expect(gaps.add(10_000, 10_001)).toBe(false);
  expect(gaps.count).toBe(256);
  expect(gaps.add(5, 10)).toBe(true);
  expect(gaps.count).toBe(255);
  expect(gaps.add(10_000, 10_001)).toBe(true);
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
            else expect(runs(set).length).toBe(256);
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
