import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Account, Arena, blockSize, MIN_BLOCK } from '../../src/base/arena.ts';
import { memoryOver } from '../../src/base/memory.ts';

const SIZE = 1 << 20;

function arenaOf(size = SIZE): Arena {
  return new Arena(memoryOver(new Uint8Array(size)));
}

test('a block is a power of two from 4 KiB up', () => {
  expect(blockSize(1)).toBe(4096);
  expect(blockSize(4096)).toBe(4096);
  expect(blockSize(4097)).toBe(8192);
  expect(blockSize(8192)).toBe(8192);
  expect(blockSize(8193)).toBe(16_384);
  expect(blockSize(2_000_000)).toBe(1 << 21);
});

test('the first block is never handed out, everything else is', () => {
  const arena = arenaOf();
  const account = new Account();
  const offsets = new Set<number>();
  for (let off = arena.take(1, account); off >= 0; off = arena.take(1, account)) offsets.add(off);
  expect(offsets.size).toBe(SIZE / MIN_BLOCK - 1);
  expect(offsets.has(0)).toBe(false);
  expect(arena.used).toBe(SIZE - MIN_BLOCK);
  expect(account.used).toBe(arena.used);
});

test('more than there is, is refused', () => {
  const arena = arenaOf();
  const account = new Account();
  expect(arena.take(SIZE, account)).toBe(-1);
  expect(arena.take(2 * SIZE, account)).toBe(-1);
  expect(arena.take(SIZE / 2, account)).toBe(SIZE / 2);
  expect(arena.take(SIZE / 2, account)).toBe(-1);
  expect(arena.used).toBe(SIZE / 2);
});

test('giving back what was not taken is a bug', () => {
  const arena = arenaOf();
  const account = new Account();
  const off = arena.take(8192, account);
  expect(() => arena.give(off + 4096, 4096, account)).toThrow('usernet bug');
  expect(() => arena.give(off, 4096, account)).toThrow('usernet bug');
  arena.give(off, 8192, account);
  expect(() => arena.give(off, 8192, account)).toThrow('usernet bug');
});

test('the smallest block that was given back last is handed out first', () => {
  const arena = arenaOf();
  const account = new Account();
  const [a, b] = [arena.take(1, account), arena.take(1, account)];
  arena.give(a, 1, account);
  arena.give(b, 1, account);
  expect(() => arena.give(b, 1, account)).toThrow('usernet bug');
  expect([arena.take(1, account), arena.take(1, account)]).toEqual([b, a]);
});

test('the smallest blocks merge when a larger one is asked for', () => {
  const arena = arenaOf();
  const account = new Account();
  const offsets: number[] = [];
  for (let off = arena.take(1, account); off >= 0; off = arena.take(1, account)) offsets.push(off);
  for (const off of offsets) arena.give(off, 1, account);
  expect(arena.used).toBe(0);
  expect(arena.take(SIZE / 2, account)).toBe(SIZE / 2);
  expect(arena.take(SIZE / 4, account)).toBe(SIZE / 4);
});

test('an arena is a power of two', () => {
  expect(() => arenaOf(3 * 65_536)).toThrow('power of two');
});

test('any order of taking and giving: no overlap, aligned, and everything merges again', () => {
  const step = fc.record({
    give: fc.boolean(),
    bytes: fc.integer({ min: 1, max: SIZE / 4 }),
    pick: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 120 }), (steps) => {
      const arena = arenaOf();
      const account = new Account();
      const held: { off: number; bytes: number }[] = [];
      const owner = new Uint8Array(SIZE / MIN_BLOCK);
      const mark = (off: number, bytes: number, was: number): void => {
        const from = off / MIN_BLOCK;
        for (let i = 0; i < blockSize(bytes) / MIN_BLOCK; i++) {
          expect(owner[from + i]).toBe(was);
          owner[from + i] = 1 - was;
        }
      };
      for (const { give, bytes, pick } of steps) {
        if (give && held.length > 0) {
          const [block] = held.splice(pick % held.length, 1);
          mark(block!.off, block!.bytes, 1);
          arena.give(block!.off, block!.bytes, account);
        } else {
          const off = arena.take(bytes, account);
          if (off < 0) continue;
          expect(off).toBeGreaterThanOrEqual(MIN_BLOCK);
          expect(off % blockSize(bytes)).toBe(0);
          mark(off, bytes, 0);
          held.push({ off, bytes });
        }
        expect(arena.used).toBe(held.reduce((sum, block) => sum + blockSize(block.bytes), 0));
      }
      for (const { off, bytes } of held) arena.give(off, bytes, account);
      expect([arena.used, account.used]).toEqual([0, 0]);
      expect(arena.take(SIZE / 2, account)).toBe(SIZE / 2);
      expect(arena.take(SIZE / 4, account)).toBe(SIZE / 4);
      expect(arena.take(SIZE / 8, account)).toBe(SIZE / 8);
    }),
    { numRuns: 200 },
  );
});

describe('accounts', () => {
  test('a guest alone may have seven eighths of it, so that something is left for one that comes', () => {
    const arena = arenaOf();
    const guest = new Account();
    guest.flows = 1;
    arena.activeAccounts = 1;
    while (arena.take(1, guest) > 0);
    expect(guest.used).toBeGreaterThan((SIZE * 7) / 8 - 2 * MIN_BLOCK);
    expect(guest.used).toBeLessThanOrEqual((SIZE * 7) / 8);
    const comes = new Account();
    comes.flows = 1;
    arena.activeAccounts = 2;
    expect(arena.take(SIZE / 16, comes)).toBeGreaterThan(0);
  });

  test('guests leave something for a link, and for each other, however many they are', () => {
    const arena = arenaOf();
    arena.activeAccounts = 5;
    const held = Array.from({ length: 4 }, () => {
      const guest = new Account();
      guest.flows = 1;
      while (arena.take(1, guest) > 0);
      return guest.used;
    });
    expect(held[0]).toBe(SIZE / 2);
    for (const [i, used] of held.entries()) if (i > 0) expect(used).toBeLessThan(held[i - 1]!);
    expect(held.every((used) => used > 0)).toBe(true);
  });

  test('half of it while another guest has flows, counted in blocks', () => {
    const arena = arenaOf();
    const guest = new Account();
    const other = new Account();
    guest.flows = 1;
    other.flows = 1;
    arena.activeAccounts = 2;
    expect(arena.take(SIZE / 4, guest)).toBeGreaterThan(0);
    expect(arena.take(SIZE / 4 + 1, guest)).toBe(-1);
    expect(arena.take(SIZE / 4, guest)).toBeGreaterThan(0);
    expect(arena.take(1, guest)).toBe(-1);
    expect(guest.used).toBe(SIZE / 2);
    expect(arena.take(SIZE / 4, other)).toBeGreaterThan(0);
    arena.activeAccounts = 1;
    expect(arena.take(1, guest)).toBeGreaterThan(0);
  });
});
