import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Account, Arena } from '../../src/base/arena.ts';
import { createMemory, fold } from '../../src/base/memory.ts';
import { Region } from '../../src/base/region.ts';
import { Ring } from '../../src/base/ring.ts';
import { pattern } from '../support/segment-bytes.ts';

const LIMIT = 32_768;

function setup(kernel: 'wasm' | 'js' = 'wasm') {
  const arena = new Arena(createMemory(1 << 20, (buffer) => new Uint8Array(buffer), kernel));
  const account = new Account();
  const scratch = arena.take(2 * LIMIT, new Account());
  const ring = new Ring(arena, account, LIMIT);
  const { bytes } = arena.memory;
  const push = (data: Uint8Array): boolean => {
    bytes.set(data, scratch);
    return ring.push(scratch, data.length);
  };
  const contents = (): Uint8Array => readAll(ring, bytes, 0, ring.length);
  return { arena, account, scratch, ring, bytes, push, contents };
}

function readAll(ring: Ring, bytes: Uint8Array, at: number, len: number): Uint8Array {
  const out: number[] = [];
  const region = new Region();
  while (out.length < len) {
    ring.readable(at + out.length, region);
    expect(region.len).toBeGreaterThan(0);
    out.push(...bytes.subarray(region.off, region.off + region.len));
  }
  return Uint8Array.from(out.slice(0, len));
}

test("a ring that is empty begins at its start, unless something of it is in somebody's hands or written early", () => {
  const { ring, scratch, push } = setup();
  const region = new Region();
  const front = (): number => {
    push(pattern(5000));
    ring.readable(0, region);
    const { off } = region;
    ring.consume(5000);
    return off;
  };
  const first = front();
  expect([front(), front()]).toEqual([first, first]);
  ring.hold();
  expect(front()).toBe(first);
  expect(front()).toBe(first + 5000);
  ring.release();
  front();
  expect(front()).toBe(first);
  ring.store(100, scratch, 10);
  push(pattern(50));
  ring.consume(50);
  ring.readable(0, region);
  expect(region.off).toBe(first + 50);
});

test('an empty ring holds no arena; a few bytes take the smallest block, which goes with the last of them', () => {
  const { ring, account, push } = setup();
  expect(account.used).toBe(0);
  expect(push(pattern(10))).toBe(true);
  expect(account.used).toBe(4096);
  expect(ring.shrink()).toBe(false);
  ring.consume(9);
  expect(account.used).toBe(4096);
  ring.consume(1);
  expect(account.used).toBe(0);
});

test('more storage stays until shrink(): a flow that has moved much is likely to move more', () => {
  const { ring, account, push } = setup();
  push(pattern(5000));
  ring.consume(5000);
  expect(account.used).toBe(8192);
  expect(ring.shrink()).toBe(true);
  expect(account.used).toBe(0);
});

test('bytes that are there early keep the smallest block, and so does a region that is held', () => {
  const { ring, account, scratch, push, contents, bytes } = setup();
  push(pattern(10));
  bytes.set(pattern(10, 20), scratch);
  ring.store(20, scratch, 10);
  ring.consume(10);
  expect(account.used).toBe(4096);
  ring.store(0, scratch, 10);
  ring.extend(20);
  expect(contents().subarray(10)).toEqual(pattern(10, 20));
  ring.hold();
  ring.consume(20);
  expect(account.used).toBe(4096);
  ring.release();
  expect(ring.shrink()).toBe(true);
  expect(account.used).toBe(0);
});

test('nothing is taken beyond the limit, and a push that does not fit does nothing', () => {
  const { ring, push, contents } = setup();
  expect(push(pattern(LIMIT - 10))).toBe(true);
  expect(push(pattern(11))).toBe(false);
  expect(ring.length).toBe(LIMIT - 10);
  expect(ring.room).toBe(10);
  expect(push(pattern(10, LIMIT - 10))).toBe(true);
  expect(contents()).toEqual(pattern(LIMIT));
});

test('without room in the arena for twice the storage, the least that suffices is taken', () => {
  const { arena, push, contents } = setup();
  const hog = new Account();
  push(pattern(4096));
  const blocks: number[] = [];
  for (let at = arena.take(4096, hog); at >= 0; at = arena.take(4096, hog)) blocks.push(at);
  expect(push(pattern(1))).toBe(false);
  expect(contents()).toEqual(pattern(4096));
  for (const at of blocks) arena.give(at, 4096, hog);
  expect(push(pattern(1))).toBe(true);
});

describe('a region in somebody else’s hands', () => {
  test('keeps its bytes while the ring moves on, and its block goes back with release()', () => {
    const { ring, bytes, account, push, contents } = setup();
    push(pattern(4000));
    const region = new Region();
    ring.readable(0, region);
    ring.hold();
    const held = bytes.subarray(region.off, region.off + region.len);
    push(pattern(4000, 4000));
    push(pattern(9000, 8000));
    expect(ring.storage).toBe(32_768 + 4096);
    expect(held).toEqual(pattern(4000));
    expect(contents()).toEqual(pattern(17_000));
    ring.release();
    expect(account.used).toBe(ring.storage);
    expect(ring.storage).toBe(32_768);
  });

  test('is not given back by shrink()', () => {
    const { ring, push } = setup();
    push(pattern(10));
    ring.hold();
    ring.consume(10);
    expect(ring.shrink()).toBe(false);
    ring.release();
    expect(ring.shrink()).toBe(true);
  });

  test('a read that lands in a block the ring has left is not at its tail', () => {
    const { ring, push } = setup();
    push(pattern(100));
    const region = new Region();
    ring.writable(region);
    ring.hold();
    expect(ring.isTail(region.off)).toBe(true);
    push(pattern(5000));
    expect(ring.isTail(region.off)).toBe(false);
    ring.release();
  });
});

test('RFC 1071: copySum is the sum of the bytes however they lie across the end of the storage', () => {
  for (const kernel of ['wasm', 'js'] as const) {
    const { arena, ring, scratch, bytes, push } = setup(kernel);
    for (const at of [4096, 4095, 4094, 3000, 2999, 1]) {
      push(pattern(at));
      ring.consume(at);
      push(pattern(4096));
      for (const [from, len] of [
        [0, 4096],
        [1, 4095],
        [7, 1001],
        [3, 1],
        [0, 4095],
      ] as const) {
        bytes.fill(0xee, scratch, scratch + len + 1);
        const sum = fold(ring.copySum(scratch, from, len));
        expect(bytes.subarray(scratch, scratch + len)).toEqual(pattern(4096).subarray(from, from + len));
        expect(bytes[scratch + len]).toBe(0xee);
        expect(sum).toBe(fold(arena.memory.sum(scratch, len)));
      }
      ring.consume(4096);
      ring.free();
    }
  }
});

interface Model {
  queue: number[];
  /** Bytes written behind the queue, by their distance from the head. */
  early: Map<number, number>;
  next: number;
}

type Step = {
  readonly what: 'push' | 'storeSum' | 'store' | 'extend' | 'consume' | 'hold' | 'release' | 'shrink';
  readonly n: number;
};

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom(
    ...(['push', 'push', 'storeSum', 'storeSum', 'store', 'extend', 'consume', 'consume'] as const),
    ...(['hold', 'release', 'shrink'] as const),
  ),
  n: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 9000 })),
});

function apply(t: ReturnType<typeof setup>, model: Model, { what, n }: Step): void {
  const { ring, bytes, scratch } = t;
  const fresh = () => Uint8Array.from({ length: n }, () => model.next++ & 0xff);
  if (what === 'push') {
    if (model.early.size > 0) return;
    const data = fresh();
    if (t.push(data)) model.queue.push(...data);
    else expect(model.queue.length + n).toBeGreaterThan(LIMIT);
  } else if (what === 'storeSum') {
    if (model.early.size > 0 || !ring.ensure(ring.length + n)) return;
    const data = fresh();
    bytes.set(data, scratch);
    expect(fold(ring.storeSum(ring.length, scratch, n))).toBe(t.arena.memory.sum(scratch, n));
    // Else it was damaged, and was never there.
    if (n % 3 === 0) return;
    ring.extend(n);
    model.queue.push(...data);
  } else if (what === 'store') {
    const at = ring.length + (n % 977);
    if (!ring.ensure(at + n)) return;
    const data = fresh();
    bytes.set(data, scratch);
    ring.store(at, scratch, n);
    for (const [i, byte] of data.entries()) model.early.set(at + i, byte);
  } else if (what === 'extend') {
    let joined = 0;
    for (let byte = model.early.get(model.queue.length); byte !== undefined && joined < n; joined++) {
      model.early.delete(model.queue.length);
      model.queue.push(byte);
      byte = model.early.get(model.queue.length);
    }
    ring.extend(joined);
  } else if (what === 'consume') {
    const len = Math.min(n, model.queue.length);
    ring.consume(len);
    model.queue.splice(0, len);
    model.early = new Map([...model.early].map(([at, byte]) => [at - len, byte]));
  } else if (what === 'hold') ring.hold();
  else if (what === 'release') ring.release();
  else if (model.early.size === 0) ring.shrink();
}

test('whatever is done with it, a ring is the array it stands for', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const t = setup('js');
      const model: Model = { queue: [], early: new Map(), next: 0 };
      for (const one of steps) {
        apply(t, model, one);
        expect(t.ring.length).toBe(model.queue.length);
        expect(t.account.used).toBe(t.ring.storage);
      }
      expect(t.contents()).toEqual(Uint8Array.from(model.queue));
      const early = [...model.early.keys()];
      const last = Math.max(model.queue.length, ...early.map((at) => at + 1));
      t.ring.extend(last - model.queue.length);
      const all = t.contents();
      for (const [at, byte] of model.early) expect(all[at]).toBe(byte);
      t.ring.free();
      expect(t.account.used).toBe(0);
    }),
    { numRuns: 300 },
  );
});
