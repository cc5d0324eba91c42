import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Marks } from '../../src/base/marks.ts';

/** What each() calls, in its order. */
function listOf(marks: Marks<object>): object[] {
  const list: object[] = [];
  marks.each((who) => list.push(who), undefined);
  return list;
}

test('each once, in the order of asking, however many: as a Set', () => {
  const many = Array.from({ length: 40 }, (_, n) => ({ n }));
  const step = fc.oneof(
    fc.constant('clear' as const),
    fc.integer({ min: 0, max: 39 }),
    fc.integer({ min: 0, max: 6 }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const marks = new Marks<object>();
      const set = new Set<object>();
      for (const one of steps) {
        if (one === 'clear') {
          marks.clear();
          set.clear();
        } else {
          marks.add(many[one]!);
          set.add(many[one]!);
        }
        expect(listOf(marks)).toEqual([...set]);
      }
    }),
  );
});

test('who is added while each() goes on is not called by it', () => {
  const marks = new Marks<{ n: number }>();
  marks.add({ n: 1 });
  const called: number[] = [];
  marks.each(({ n }) => {
    called.push(n);
    marks.add({ n: n + 1 });
  }, undefined);
  expect(called).toEqual([1]);
  expect(listOf(marks).length).toBe(2);
});

test('nobody who is gone is held on to', () => {
  const marks = new Marks<object>();
  for (let n = 0; n < 20; n++) marks.add({ n });
  marks.clear();
  const inside = marks as unknown as { items: (object | null)[]; all: Set<object> | null };
  expect([inside.items.every((one) => one === null), inside.all]).toEqual([true, null]);
});
