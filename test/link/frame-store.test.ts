import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Account, Arena } from '../../src/base/arena.ts';
import { createMemory } from '../../src/base/memory.ts';
import { FrameStore } from '../../src/link/frame-store.ts';

const BLOCK = 131072;

/** An arena that knows which of its blocks are whose. */
class WatchedArena extends Arena {
  /** Of the store whose turn it is: what it has taken, block offset to length. */
  owner = new Map<number, number>();

  override take(bytes: number, account: Account): number {
    const off = super.take(bytes, account);
    if (off >= 0) this.owner.set(off, bytes);
    return off;
  }

  override give(off: number, bytes: number, account: Account): void {
    super.give(off, bytes, account);
    expect(this.owner.delete(off)).toBe(true);
  }
}

function newArena(bytes: number): WatchedArena {
  return new WatchedArena(createMemory(bytes, (buffer) => Buffer.from(buffer)));
}

interface Kept {
  readonly off: number;
  readonly len: number;
  /** What all of its bytes are. */
  readonly byte: number;
}

/** A store, and what it must be keeping. */
class Watched {
  readonly blocks = new Map<number, number>();
  readonly kept: Kept[] = [];
  private readonly offs = new Set<number>();
  private count = 0;
  private readonly arena: WatchedArena;
  private readonly store: FrameStore;

  constructor(arena: WatchedArena) {
    this.arena = arena;
    this.arena.owner = this.blocks;
    this.store = new FrameStore(arena, 0);
  }

  /** Asks for `asked` bytes, uses `len`, or nothing where it is -1. False when there was no room. */
  place(asked: number, len: number): boolean {
    this.arena.owner = this.blocks;
    const off = this.store.place(asked);
    if (off < 0) return false;
    // A frame of no bytes has a place, too: it is in a block of this store like any other.
    const block = off - (off % BLOCK);
    expect(this.blocks.get(block)).toBe(BLOCK);
    expect(off + Math.max(asked, 1)).toBeLessThanOrEqual(block + BLOCK);
    expect(this.offs.has(off)).toBe(false);
    const { bytes } = this.arena.memory;
    const byte = 1 + (this.count++ % 251);
    bytes.fill(byte, off, off + asked);
    if (len < 0) return true;
    this.store.keep(len);
    this.kept.push({ off, len, byte });
    this.offs.add(off);
    return true;
  }

  drop(i: number): void {
    this.arena.owner = this.blocks;
    const [one] = this.kept.splice(i % this.kept.length, 1);
    if (one === undefined) return;
    // Nobody has written over it.
    const bytes = this.arena.memory.bytes.subarray(one.off, one.off + one.len);
    expect(Buffer.alloc(one.len, one.byte).equals(bytes)).toBe(true);
    this.offs.delete(one.off);
    this.store.drop(one.off);
  }

  free(): void {
    this.arena.owner = this.blocks;
    this.store.free();
    expect(this.blocks.size).toBe(0);
  }
}

test('a block that is exactly full: the next frame, of no bytes, is in a block of its own', () => {
  const store = new Watched(newArena(8 << 20));
  for (let i = 0; i < 2049; i++) expect(store.place(0, 0)).toBe(true);
  expect(store.blocks.size).toBe(2);
  while (store.kept.length > 0) store.drop(0);
  expect(store.blocks.size).toBe(1);
  store.free();
});

describe('two stores of one arena', () => {
  const len = fc.oneof(
    fc.constantFrom(0, 1, 60, 64, 65, 1514, 65_535, 65_536, 131_071, 131_072),
    fc.nat(2000),
  );
  const kinds = [...Array(6).fill('place'), ...Array(5).fill('drop'), 'fill', 'drain'] as string[];
  const step = fc.record({
    kind: fc.constantFrom(...kinds),
    lane: fc.nat(1),
    asked: len,
    part: fc.nat(4),
  });

  test('no frame ever leaves its block, meets another frame, or is in a block of somebody else', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const arena = newArena(4 << 20);
        const before = arena.used;
        const lanes = [new Watched(arena), new Watched(arena)];
        for (const { kind, lane, asked, part } of steps) {
          const store = lanes[lane]!;
          // A reservation that is forgotten, part of it used, all of it.
          const used = part === 0 ? -1 : Math.floor((asked * part) / 4);
          if (kind === 'place') store.place(asked, used);
          else if (kind === 'fill') for (let i = 0; i < 2049 && store.place(asked, asked); i++);
          else if (kind === 'drop') store.drop(asked);
          else for (let n = store.kept.length - part; n > 0; n--) store.drop(asked);
        }
        const [a, b] = lanes as [Watched, Watched];
        for (const block of a.blocks.keys()) expect(b.blocks.has(block)).toBe(false);
        for (const store of lanes) {
          while (store.kept.length > 0) store.drop(0);
          store.free();
        }
        expect(arena.used).toBe(before);
      }),
      { numRuns: 60, seed: 7 },
    );
  });
});

describe('the limits', () => {
  function filled(store: FrameStore): number {
    let bytes = 0;
    for (; store.place(65_536) >= 0; bytes += 65_536) store.keep(65_536);
    return bytes;
  }

  test.each([
    [8 << 20, 512 << 10],
    [32 << 20, 2 << 20],
    [128 << 20, 8 << 20],
    [256 << 20, 8 << 20],
  ])('of an arena of %d bytes one store has %d', (size, limit) => {
    expect(filled(new FrameStore(newArena(size), 0))).toBe(limit);
  });

  test('all stores of an arena together have a quarter of it, and leave some of that to those that come', () => {
    const arena = newArena(32 << 20);
    const before = arena.used;
    const stores = Array.from({ length: 8 }, () => new FrameStore(arena, 0));
    let bytes = 0;
    for (const store of stores) bytes += filled(store);
    expect(bytes).toBe(6 << 20);
    while (arena.used - before + BLOCK <= 8 << 20) stores.push(new FrameStore(arena, 0));
    expect(arena.used - before).toBe(8 << 20);
    expect(stores.length).toBe(8 + 16);
    expect(() => new FrameStore(arena, 0)).toThrow(/no room/);
    // It can carry something all the same.
    expect(filled(stores.at(-1)!)).toBe(BLOCK);
    for (const store of stores) store.free();
    expect(arena.used).toBe(before);
  });

  test('another arena has a quarter of its own', () => {
    for (const store of [new FrameStore(newArena(8 << 20), 0), new FrameStore(newArena(8 << 20), 0)])
      expect(filled(store)).toBe(512 << 10);
  });

  test('room for a frame that is not kept is counted too, and without it nothing is held', () => {
    const arena = newArena(2 << 20);
    const before = arena.used;
    const store = new FrameStore(arena, 1514);
    expect(arena.used - before).toBe(BLOCK + 4096);
    expect(store.spare).toBeGreaterThan(0);
    store.free();
    expect(arena.used).toBe(before);
    // A quarter is 512 KiB: four blocks leave no room for more.
    const stores = Array.from({ length: 3 }, () => new FrameStore(arena, 0));
    expect(() => new FrameStore(arena, 1514)).toThrow(/no room/);
    expect(arena.used - before).toBe(3 * BLOCK);
    for (const one of stores) one.free();
  });
});
