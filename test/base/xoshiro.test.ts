import { expect, test } from 'vitest';
import { Xoshiro } from '../../src/base/xoshiro.ts';

function words(seed: number, stream: number, count = 1000): number[] {
  const random = new Xoshiro(seed, stream);
  return Array.from({ length: count }, () => random.word());
}

/** xoshiro128** as its authors define it, in arithmetic without a limit. */
function reference(state: bigint[], count: number): number[] {
  const mask = 0xffffffffn;
  const rotate = (word: bigint, by: bigint): bigint => ((word << by) | (word >> (32n - by))) & mask;
  let [a, b, c, d] = state as [bigint, bigint, bigint, bigint];
  return Array.from({ length: count }, () => {
    const result = (rotate((b * 5n) & mask, 7n) * 9n) & mask;
    const t = (b << 9n) & mask;
    [c, d] = [c ^ a, d ^ b];
    [b, a] = [b ^ c, a ^ d];
    [c, d] = [c ^ t, rotate(d, 11n)];
    return Number(BigInt.asIntN(32, result));
  });
}

test('the words are those of xoshiro128**', () => {
  const random = new Xoshiro(7, 1);
  const inner = random as unknown as { state: Int32Array };
  const state = [...inner.state].map((word) => BigInt(word >>> 0));
  expect(Array.from({ length: 1000 }, () => random.word())).toEqual(reference(state, 1000));
});

test('a seed and a stream are the same words again; another of either is other words', () => {
  expect(words(7, 1)).toEqual(words(7, 1));
  const first = new Set<string>();
  for (let seed = 0; seed < 50; seed++)
    for (let stream = 0; stream < 4; stream++) first.add(`${words(seed, stream, 2)}`);
  expect(first.size).toBe(200);
});

test('each bit is set half of the time, also right behind the start', () => {
  for (const all of [
    words(1, 0, 20_000),
    Array.from({ length: 20_000 }, (_, seed) => words(seed, 0, 1)[0]!),
  ]) {
    for (let bit = 0; bit < 32; bit++) {
      const set = all.filter((word) => (word >>> bit) & 1).length;
      // Five standard deviations.
      expect(Math.abs(set - 10_000)).toBeLessThan(354);
    }
  }
});
