import { Account, type Arena, MIN_BLOCK } from '../../src/base/arena.ts';

/** Takes all of `arena` but `left` bytes (0, or a power of two from 4 KiB); the returned function gives it back. */
export function starve(arena: Arena, left = 0): () => void {
  // One alone may have half of it while guests have flows.
  const accounts = [new Account(), new Account()];
  const kept = left === 0 ? -1 : arena.take(left, accounts[0]!);
  const blocks: [off: number, size: number, account: Account][] = [];
  for (const account of accounts) {
    for (let size = arena.size; size >= MIN_BLOCK; size /= 2) {
      for (let off = arena.take(size, account); off >= 0; off = arena.take(size, account))
        blocks.push([off, size, account]);
    }
  }
  if (kept >= 0) arena.give(kept, left, accounts[0]!);
  return () => {
    for (const [off, size, account] of blocks) arena.give(off, size, account);
  };
}
