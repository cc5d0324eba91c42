import { describe, expect, test } from 'vitest';
import { Account } from '../../src/base/arena.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { Region } from '../../src/base/region.ts';
import { BATCH_LEN, TransmitQueue } from '../../src/link/transmit.ts';
import { newHost, pattern, sameFrames } from '../support/link-bench.ts';

const { arena } = newHost(new ManualClock());
const { memory } = arena;

function put(queue: TransmitQueue, frame: Uint8Array): boolean {
  const off = queue.reserve(frame.length);
  if (off < 0) return false;
  memory.bytes.set(frame, off);
  queue.commit(frame.length);
  return true;
}

/** The frames of the oldest batch, as the other side of a stream would see them; null where there is none. */
function take(queue: TransmitQueue): Buffer[] | null {
  const region = new Region();
  if (!queue.next(region)) return null;
  const frames: Buffer[] = [];
  for (let at = region.off; at < region.off + region.len; ) {
    const len = memory.view.getUint32(at);
    frames.push(Buffer.from(memory.bytes.subarray(at + 4, at + 4 + len)));
    at += 4 + len;
  }
  return frames;
}

describe('the transmit queue of a link', () => {
  test('frames of a turn make one batch, each with its length before it', () => {
    const queue = new TransmitQueue(arena, 2);
    const frames = [pattern(1, 60), pattern(2, 1514), pattern(3, 65553)];
    for (const frame of frames) expect(put(queue, frame)).toBe(true);
    expect(queue.isEmpty).toBe(false);
    expect(sameFrames(take(queue)!, frames)).toBe(true);
    expect(queue.release()).toBe(false);
    expect(queue.isEmpty).toBe(true);
    expect(take(queue)).toBe(null);
    queue.free();
  });

  test('a reserved frame that is not committed is forgotten, and a shorter one may be committed', () => {
    const queue = new TransmitQueue(arena, 2);
    expect(queue.reserve(1514)).toBeGreaterThan(0);
    const off = queue.reserve(1514);
    memory.bytes.set(pattern(5, 100), off);
    queue.commit(100);
    expect(take(queue)).toEqual([pattern(5, 100)]);
    queue.free();
  });

  test('send() queues a copy', () => {
    const queue = new TransmitQueue(arena, 2);
    const account = new Account();
    const off = arena.take(4096, account);
    memory.bytes.set(pattern(6, 1000), off);
    expect(queue.send(off, 1000)).toBe(true);
    memory.bytes.fill(0, off, off + 1000);
    expect(take(queue)).toEqual([pattern(6, 1000)]);
    queue.free();
    arena.give(off, 4096, account);
  });

  /** Writes frames where extend() made room, behind the one at `first`, as who asked for it has to. */
  function extend(queue: TransmitQueue, first: number, frames: Buffer[]): number {
    const { length: len } = frames[0]!;
    const fit = queue.extend(len, frames.length);
    for (let i = 0; i < fit; i++) {
      const at = first + (i + 1) * (4 + len);
      memory.view.setUint32(at - 4, len);
      memory.bytes.set(frames[i]!, at);
    }
    return fit;
  }

  test('extend(): more frames right behind the one before, and others behind them', () => {
    const queue = new TransmitQueue(arena, 2);
    put(queue, pattern(1, 60));
    const first = queue.reserve(1514);
    memory.bytes.set(pattern(2, 1000), first);
    queue.commit(1000);
    const more = Array.from({ length: 5 }, (_, i) => pattern(3 + i, 1000));
    expect(extend(queue, first, more)).toBe(5);
    expect(queue.extend(1000, 0)).toBe(0);
    put(queue, pattern(9, 77));
    const all = [pattern(1, 60), pattern(2, 1000), ...more, pattern(9, 77)];
    const recalled: Buffer[] = [];
    queue.recall((off, len) => recalled.push(Buffer.from(memory.bytes.subarray(off, off + len))));
    expect(sameFrames(recalled, all)).toBe(true);
    expect(sameFrames(take(queue)!, all)).toBe(true);
    queue.release();
    expect(queue.isEmpty).toBe(true);
    queue.free();
  });

  test('extend(): as many as the batch holds, to its last byte; the next frame begins another', () => {
    const queue = new TransmitQueue(arena, 2);
    // Sixteen of them fill a batch.
    const len = BATCH_LEN / 16 - 4;
    for (const [already, fit] of [
      [1, 15],
      [7, 9],
      [16, 0],
    ] as const) {
      const frames = Array.from({ length: 16 }, (_, i) => pattern(i, len));
      let first = 0;
      for (let i = 0; i < already; i++) {
        first = queue.reserve(len);
        memory.bytes.set(frames[i]!, first);
        queue.commit(len);
      }
      const rest = [...frames.slice(already), ...frames];
      expect(extend(queue, first, rest)).toBe(fit);
      expect(queue.extend(len, 3)).toBe(0);
      expect(put(queue, pattern(5, 60))).toBe(true);
      expect(sameFrames(take(queue)!, frames)).toBe(true);
      queue.release();
      expect(take(queue)).toEqual([pattern(5, 60)]);
      queue.release();
    }
    queue.free();
  });

  test('extend() where nothing was committed is a mistake of ours', () => {
    const queue = new TransmitQueue(arena, 2);
    expect(() => queue.extend(60, 1)).toThrow('more frames come behind one that is there');
    put(queue, pattern(1, 60));
    expect(() => queue.extend(61, 1)).toThrow('more frames come behind one that is there');
    queue.free();
  });

  test('the batch that is written is not touched while the others are filled; then -1, then room is announced once', () => {
    const queue = new TransmitQueue(arena, 3);
    const sent: Buffer[] = [];
    const fill = (): void => {
      for (let i = 0; ; i++) {
        const frame = pattern(sent.length, 60 + ((i * 997) % 9000));
        if (!put(queue, frame)) return;
        sent.push(frame);
      }
    };
    put(queue, pattern(77, 500));
    const got = take(queue)!;
    const region = new Region();
    expect(queue.next(region)).toBe(false);
    fill();
    expect(queue.reserve(BATCH_LEN / 2)).toBe(-1);
    expect(queue.release()).toBe(true);
    for (let frames = take(queue); frames !== null; frames = take(queue)) {
      got.push(...frames);
      expect(queue.release()).toBe(false);
    }
    expect(sameFrames(got, [pattern(77, 500), ...sent])).toBe(true);
    queue.free();
  });

  test('order holds over many rounds of filling and releasing, and the arena has everything back', () => {
    const before = arena.used;
    const queue = new TransmitQueue(arena, 4);
    let put_ = 0;
    let got = 0;
    const seen: number[] = [];
    while (got < 2000) {
      while (put_ - got < 700 && put(queue, pattern(put_, 1514))) put_++;
      const frames = take(queue)!;
      for (const frame of frames) seen.push(Number(frame.equals(pattern(got++, 1514))));
      queue.release();
    }
    expect(seen.every((ok) => ok === 1)).toBe(true);
    queue.free();
    expect(arena.used).toBe(before);
  });

  test('an arena without room: it throws and keeps nothing', () => {
    const small = newHost(new ManualClock(), 8 << 20);
    const account = new Account();
    while (small.arena.used < 7.5 * (1 << 20)) small.arena.take(131072, account);
    const before = small.arena.used;
    expect(() => new TransmitQueue(small.arena, 4)).toThrow(/no room/);
    expect(small.arena.used).toBe(before);
  });
});
