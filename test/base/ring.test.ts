import { describe, expect, test } from 'vitest';
import { Account, Arena } from '../../src/base/arena.ts';
import { createMemory, fold } from '../../src/base/memory.ts';
import { Region } from '../../src/base/region.ts';
import { Ring } from '../../src/base/ring.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { starve } from '../support/starve.ts';

const SRC_LEN = 65536;
const LIMIT = 65536;

function bench() {
  const arena = new Arena(createMemory(1 << 20, (buffer) => new Uint8Array(buffer)));
  const account = new Account();
  const src = arena.take(SRC_LEN, account);
  const dst = arena.take(SRC_LEN, account);
  const baseline = arena.used;
  const ring = new Ring(arena, account, LIMIT);
  const { bytes } = arena.memory;
  const random = new SeededRandom(3);
  /** `len` new bytes at `src`, and a copy of them. */
  const fresh = (len: number): number[] => {
    for (let i = 0; i < len; i++) bytes[src + i] = random.word();
    return [...bytes.subarray(src, src + len)];
  };
  return { arena, ring, bytes, src, dst, baseline, random, fresh };
}

describe('ring', () => {
  test('any order of pushes, early stores, reads and takes: the bytes of a plain queue, with their checksum', () => {
    const { arena, ring, bytes, src, dst, baseline, random, fresh } = bench();
    const queue: number[] = [];
    const region = new Region();
    for (let step = 0; step < 3000; step++) {
      const len = random.below(random.below(8) === 0 ? 20_000 : 300);
      if (random.below(3) > 0) {
        const data = fresh(len);
        const isEarly = len > 1 && ring.ensure(ring.length + len) && random.below(2) === 0;
        if (isEarly) {
          // The second half first, as a segment out of order; ensure() may move both.
          const half = len >> 1;
          ring.store(ring.length + half, src + half, len - half);
          ring.ensure(Math.min(ring.length + 2 * len, LIMIT));
          ring.store(ring.length, src, half);
          ring.extend(len);
          queue.push(...data);
        } else if (ring.push(src, len)) queue.push(...data);
        else expect(queue.length + len).toBeGreaterThan(LIMIT);
      } else {
        const n = Math.min(len, queue.length);
        ring.consume(n);
        queue.splice(0, n);
      }
      expect(ring.length).toBe(queue.length);
      if (queue.length === 0) continue;
      const at = random.below(queue.length);
      const n = Math.min(1 + random.below(1500), queue.length - at);
      const sum = fold(ring.copySum(dst, at, n));
      expect([...bytes.subarray(dst, dst + n)]).toEqual(queue.slice(at, at + n));
      expect(sum).toBe(arena.memory.sum(dst, n));
      ring.readable(at, region);
      expect([...bytes.subarray(region.off, region.off + Math.min(region.len, 16))]).toEqual(
        queue.slice(at, at + Math.min(region.len, 16)),
      );
    }
    ring.free();
    expect(arena.used).toBe(baseline);
  });

  test('a region that is held stays as it is while the ring grows, twice, and is given back after release()', () => {
    const { arena, ring, bytes, src, baseline, fresh } = bench();
    const region = new Region();
    const first = fresh(1000);
    ring.push(src, 1000);
    ring.readable(0, region);
    ring.hold();
    const { off } = region;
    for (const len of [6000, 20_000]) {
      fresh(len);
      expect(ring.push(src, len)).toBe(true);
      expect([...bytes.subarray(off, off + 1000)]).toEqual(first);
    }
    expect(ring.storage).toBe(4096 + 32_768);
    expect(arena.used - baseline).toBe(ring.storage);
    expect(ring.shrink()).toBe(false);
    ring.release();
    expect(arena.used - baseline).toBe(32_768);
    ring.consume(ring.length);
    expect(ring.shrink()).toBe(true);
    expect(arena.used).toBe(baseline);
  });

  test('a full arena: push() says no, and nothing has changed', () => {
    const { arena, ring, src, fresh } = bench();
    fresh(4096);
    expect(ring.push(src, 4096)).toBe(true);
    const feed = starve(arena);
    expect(ring.push(src, 1)).toBe(false);
    expect([ring.length, ring.storage]).toEqual([4096, 4096]);
    feed();
    expect(ring.push(src, 1)).toBe(true);
  });
});
