import { expect, test } from 'vitest';
import { Isn, keyedHash } from '../../src/tcp/isn.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const TUPLE = Int32Array.of(0x0a00020f, 0x0a000202, (40000 << 16) | 80);

/** Key and message of the published test vectors: bytes 0, 1, 2, ... */
const VECTOR_KEY = Int32Array.of(0x03020100, 0x07060504, 0, 0);

test('HalfSipHash-2-4: the published test vectors', () => {
  const vectors: readonly (readonly [number[], number[]])[] = [
    [[], [0xa9, 0x35, 0x9f, 0x5b]],
    [[0x03020100], [0x2a, 0x6e, 0x46, 0x89]],
    [
      [0x03020100, 0x07060504],
      [0xd0, 0xb8, 0x84, 0x8f],
    ],
  ];
  for (const [words, [a, b, c, d]] of vectors) {
    const expected = a! | (b! << 8) | (c! << 16) | (d! << 24);
    expect(keyedHash(Int32Array.from(words), words.length, VECTOR_KEY) >>> 0).toBe(expected >>> 0);
  }
});

test('RFC 6528 3: for one connection it moves with a clock of 4 microseconds', () => {
  const isn = new Isn(new SeededRandom(1));
  const first = isn.next(TUPLE, 1000);
  expect((isn.next(TUPLE, 1001) - first) | 0).toBe(250);
  expect((isn.next(TUPLE, 61_000) - first) | 0).toBe(15_000_000);
});

test('after weeks it is still a whole signed word', () => {
  const isn = new Isn(new SeededRandom(1));
  const at = isn.next(TUPLE, 90 * 24 * 3_600_000);
  expect(at).toBe(at | 0);
});

test('RFC 6528 3: other ports, other numbers; another secret, other numbers', () => {
  const [mine, theirs] = [new Isn(new SeededRandom(1)), new Isn(new SeededRandom(2))];
  const seen = new Set<number>();
  for (let port = 1024; port < 3024; port++) {
    const tuple = Int32Array.of(0x0a00020f, 0x0a000202, (port << 16) | 80);
    seen.add(mine.next(tuple, 0)).add(theirs.next(tuple, 0));
  }
  expect(seen.size).toBe(4000);
});

test('every bit of the tuple moves about half of the bits', () => {
  const key = Int32Array.of(1, 2, 3, 4);
  const before = keyedHash(TUPLE, 3, key);
  let flipped = 0;
  for (let bit = 0; bit < 96; bit++) {
    const tuple = TUPLE.slice();
    tuple[bit >> 5]! ^= 1 << (bit & 31);
    for (let diff = keyedHash(tuple, 3, key) ^ before; diff !== 0; diff &= diff - 1) flipped++;
  }
  expect(flipped / 96).toBeGreaterThan(14);
  expect(flipped / 96).toBeLessThan(18);
});
