import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PortTable } from '../../src/base/port-table.ts';

test('where it is full, the port with the most loses its oldest', () => {
  const table = new PortTable<string>(4);
  table.set(1, 7, 'quiet');
  for (const key of [10, 11, 12]) expect(table.set(key, 8, 'loud')).toBe(false);
  expect(table.set(13, 8, 'loud')).toBe(true);
  expect([1, 10, 11].map((key) => table.get(key))).toEqual(['quiet', undefined, 'loud']);
  // Also where it is not the one that asks.
  expect(table.set(2, 7, 'quiet')).toBe(true);
  expect([1, 2, 11, 12].map((key) => table.get(key))).toEqual(['quiet', 'quiet', undefined, 'loud']);
  // Of ports that have as many, the one that asks.
  expect(table.set(3, 7, 'quiet')).toBe(true);
  expect([1, 12].map((key) => table.get(key))).toEqual([undefined, 'loud']);
});

test('an entry that is set again is the newest of its port, also of another one', () => {
  const table = new PortTable<number>(3);
  for (const key of [1, 2, 3]) table.set(key, 7, key);
  table.set(1, 7, 100);
  table.set(4, 7, 4);
  expect([1, 2].map((key) => table.get(key))).toEqual([100, undefined]);
  table.set(1, 8, 200);
  table.forgetPort(7);
  expect([table.size, table.get(1)]).toEqual([1, 200]);
});

test('whatever is set and forgotten, it is what a list would be', () => {
  const LIMIT = 5;
  const step = fc.record({
    key: fc.integer({ min: 0, max: 9 }),
    port: fc.integer({ min: 1, max: 3 }),
    forget: fc.integer({ min: 0, max: 9 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const table = new PortTable<number>(LIMIT);
      /** The oldest first. */
      let list: { key: number; port: number; value: number }[] = [];
      for (const [value, { key, port, forget }] of steps.entries()) {
        if (forget === 0) {
          table.forgetPort(port);
          list = list.filter((entry) => entry.port !== port);
          continue;
        }
        const known = list.some((entry) => entry.key === key);
        list = list.filter((entry) => entry.key !== key);
        const full = !known && list.length === LIMIT;
        if (full) {
          const count = (of: number): number => list.filter((entry) => entry.port === of).length;
          const most = Math.max(count(1), count(2), count(3));
          const loser = count(port) === most ? port : list.find((entry) => count(entry.port) === most)!.port;
          const counts = [1, 2, 3].filter((of) => count(of) === most);
          // Which of two others that have as many, is the table's choice.
          const gone = list.find((entry) => entry.port === loser)!;
          if (counts.length > 1 && count(port) !== most) return;
          list.splice(list.indexOf(gone), 1);
        }
        expect(table.set(key, port, value)).toBe(full);
        list.push({ key, port, value });
        expect(table.size).toBe(list.length);
        for (const entry of list) expect(table.get(entry.key)).toBe(entry.value);
      }
    }),
  );
});
