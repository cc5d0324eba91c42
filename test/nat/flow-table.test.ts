import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FlowTable, KEY_WORDS, setKey } from '../../src/nat/flow-table.ts';
import { SeededRandom } from '../support/seeded-random.ts';

function keyOf(guestPort: number, remote = 0x0a000202, remotePort = 80, ingress = 1): Int32Array {
  const key = new Int32Array(KEY_WORDS);
  setKey(key, 0x0a00020f, guestPort, remote, remotePort, 6, ingress);
  return key;
}

describe('flow table', () => {
  test('keeps flows apart that differ in one word only', () => {
    const table = new FlowTable<string>(new SeededRandom(1));
    table.set(keyOf(1000), 'a');
    table.set(keyOf(1001), 'b');
    table.set(keyOf(1000, 0x0a000203), 'c');
    table.set(keyOf(1000, 0x0a000202, 81), 'd');
    table.set(keyOf(1000, 0x0a000202, 80, 2), 'e');
    expect(table.size).toBe(5);
    expect(table.find(keyOf(1000))).toBe('a');
    expect(table.find(keyOf(1000, 0x0a000202, 80, 2))).toBe('e');
    expect(table.find(keyOf(1002))).toBeUndefined();
  });

  test('a port above 32767 is found again: key words are signed', () => {
    const table = new FlowTable<string>(new SeededRandom(1));
    table.set(keyOf(65535, -1, 65535), 'x');
    expect(table.find(keyOf(65535, -1, 65535))).toBe('x');
  });

  test('delete leaves a key alone that leads to another flow by now', () => {
    const table = new FlowTable<string>(new SeededRandom(1));
    table.set(keyOf(1), 'new');
    table.delete(keyOf(1), 'old');
    expect(table.find(keyOf(1))).toBe('new');
  });

  test('behaves as a Map under any sequence of sets and deletes, growing and shrinking', () => {
    const op = fc.record({ port: fc.integer({ min: 0, max: 400 }), add: fc.boolean() });
    fc.assert(
      fc.property(fc.array(op, { maxLength: 1500 }), fc.integer(), (ops, seed) => {
        const table = new FlowTable<number>(new SeededRandom(seed));
        const model = new Map<number, number>();
        for (const [i, { port, add }] of ops.entries()) {
          if (add) {
            table.set(keyOf(port), i);
            model.set(port, i);
          } else {
            table.delete(keyOf(port), model.get(port) ?? -1);
            model.delete(port);
          }
        }
        expect(table.size).toBe(model.size);
        for (let port = 0; port <= 400; port++) expect(table.find(keyOf(port))).toBe(model.get(port));
        expect(table.values().length).toBe(model.size);
      }),
      { numRuns: 40 },
    );
  });
});
