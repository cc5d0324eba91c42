import { Account, type Arena, MIN_BLOCK } from '../../src/base/arena.ts';

/** Takes all of `arena` but `left` bytes (0, or a power of two from 4 KiB); the returned function gives it back. */
export function starve(arena: Arena, left = 0): () => void {
  const account = new Account();
  // As a guest with flows, or half would be kept for the others.
  account.flows = 1;
  const kept = left === 0 ? -1 : arena.take(left, account);
  const blocks: [off: number, size: number][] = [];
  for (let size = arena.size; size >= MIN_BLOCK; size /= 2) {
    for (let off = arena.take(size, account); off >= 0; off = arena.take(size, account))
      blocks.push([off, size]);
  }
  if (kept >= 0) arena.give(kept, left, account);
  return () => {
    for (const [off, size] of blocks) arena.give(off, size, account);
  };
}
