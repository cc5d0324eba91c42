import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seqDiff, seqLeq, seqLt, seqMax, seqMin } from '../../src/tcp/seq.ts';

test('RFC 9293 3.4: comparison goes round the edge', () => {
  expect(seqLt(-1, 0)).toBe(true);
  expect(seqLt(0xffffffff | 0, 5)).toBe(true);
  expect(seqLt(5, 0xffffffff | 0)).toBe(false);
  expect(seqLt(0x7fffffff, 0x80000000 | 0)).toBe(true);
  expect(seqDiff(5, 0xfffffffb | 0)).toBe(10);
  expect(seqDiff(0x80000000 | 0, 0x7fffffff)).toBe(1);
});

test('any two numbers less than 2^31 apart compare as their distance does', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: -0x7fffffff, max: 0x7fffffff }), (a, distance) => {
      const b = (a + distance) | 0;
      expect(seqDiff(b, a)).toBe(distance);
      expect(seqLt(a, b)).toBe(distance > 0);
      expect(seqLeq(a, b)).toBe(distance >= 0);
      expect(seqMax(a, b)).toBe(distance > 0 ? b : a);
      expect(seqMin(a, b)).toBe(distance < 0 ? b : a);
    }),
  );
});
