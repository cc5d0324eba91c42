import fc from 'fast-check';
import { expect, test } from 'vitest';
import { memoryOver } from '../../src/base/memory.ts';
import { FilterError, parseFilter } from '../../src/pcap/filter.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { expression, salad } from './filter-expressions.ts';
import { randomSample } from './filter-frames.ts';

const SEED = 4;

const frame = fc.integer().map((seed) => randomSample(new SeededRandom(seed)).bytes);

test('any expression about any bytes, cut anywhere: an answer', () => {
  const bytes = fc.oneof(frame, fc.uint8Array({ maxLength: 120 }));
  fc.assert(
    fc.property(expression, bytes, fc.nat(120), fc.nat(), (text, whole, kept, wireLen) => {
      const len = Math.min(kept, whole.length);
      expect(typeof parseFilter(text).matches(memoryOver(whole), 0, len, wireLen)).toBe('boolean');
    }),
    { seed: SEED, numRuns: 2000 },
  );
});

test('bytes beyond the captured ones change nothing', () => {
  fc.assert(
    fc.property(
      expression,
      frame,
      fc.nat(120),
      fc.uint8Array({ minLength: 100 }),
      (text, whole, kept, after) => {
        const filter = parseFilter(text);
        const cut = whole.subarray(0, kept);
        const alone = filter.matches(memoryOver(cut), 0, cut.length, whole.length);
        const among = memoryOver(Uint8Array.from([...after, ...cut, ...after]));
        expect(filter.matches(among, after.length, cut.length, whole.length)).toBe(alone);
      },
    ),
    { seed: SEED, numRuns: 500 },
  );
});

test('not turns the verdict about a frame that is long enough, twice not turns it back', () => {
  fc.assert(
    fc.property(expression, frame, (text, bytes) => {
      const memory = memoryOver(Uint8Array.from([...bytes, ...new Uint8Array(200)]));
      const verdict = (filter: string): boolean =>
        parseFilter(filter).matches(memory, 0, bytes.length + 200, 300);
      expect(verdict(`not (${text})`)).toBe(!verdict(text));
      expect(verdict(`not not (${text})`)).toBe(verdict(text));
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test('any text is a filter or one line of error', () => {
  const text = fc.oneof(salad, fc.string({ unit: 'binary', maxLength: 60 }), fc.string({ maxLength: 30 }));
  fc.assert(
    fc.property(text, (words) => {
      try {
        expect(parseFilter(words).text).toBe(words);
      } catch (error) {
        expect(error).toBeInstanceOf(FilterError);
        expect((error as FilterError).message).toMatch(/^[ -~]{10,200}$/);
      }
    }),
    { seed: SEED, numRuns: 5000 },
  );
});
