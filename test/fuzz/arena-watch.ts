// The arena under watch. All of it that nobody holds is filled with a pattern, again and again with each block that is
// given back, so that
//   - a byte that was sent without having been written shows: the pattern is looked for in every frame that leaves and
//     in all that the host is given. Shorter leaks than the search can see change with `salt`: two runs with different
//     salts must send the same bytes;
//   - a write into a block that was given back shows, when it is taken the next time: the pattern is not whole;
//   - what is held, the watch knows by itself, and Arena.used must say the same.

import type { Account, Arena } from '../../src/base/arena.ts';
import { blockSize } from '../../src/base/arena.ts';

export class ArenaWatch {
  /** Eight bytes: a leak of fifteen contains it whole. */
  readonly pattern: Buffer;
  /** Bytes in blocks that are held, counted here. */
  held = 0;
  private readonly arena: Arena;
  private readonly blocks = new Map<number, number>();
  private readonly whole: Buffer;

  /** Fills all of `arena`, of which nothing was taken yet, and watches it from then on. */
  constructor(arena: Arena, salt: number) {
    this.arena = arena;
    this.pattern = Buffer.from([0xc5, 0xa3 ^ salt, 0x71, 0xe9 ^ salt, 0x1d, 0xb6, 0x4f ^ salt, 0x98]);
    this.whole = Buffer.alloc(1 << 20, this.pattern);
    this.fill(0, arena.size);
    const take = arena.take.bind(arena);
    const give = arena.give.bind(arena);
    arena.take = (bytes: number, account: Account): number => {
      const off = take(bytes, account);
      if (off >= 0) this.taken(off, blockSize(bytes));
      return off;
    };
    arena.give = (off: number, bytes: number, account: Account): void => {
      give(off, bytes, account);
      this.given(off, blockSize(bytes));
    };
  }

  /** Throws where [off, off+len) holds the pattern. `what`: whose bytes these are. */
  search(off: number, len: number, what: string): void {
    const at = this.bytes(off, len).indexOf(this.pattern);
    if (at >= 0) throw new Error(`${what}: bytes of free arena at ${at} of ${len}`);
  }

  /** Puts the pattern over [off, off+len), which somebody holds but has been lent out and is lent no longer. */
  spoil(off: number, len: number): void {
    this.fill(off, len);
  }

  /** Throws unless everybody agrees on what is held. */
  check(): void {
    if (this.arena.used !== this.held)
      throw new Error(`arena.used is ${this.arena.used}, held are ${this.held}`);
  }

  /** Throws where a block that nobody holds was written to. Looks at all of them: slow. */
  checkFree(): void {
    const starts = [...this.blocks.keys()].sort((a, b) => a - b);
    let at = 0;
    for (const start of [...starts, this.arena.size]) {
      // The first block is nobody's, and used by nobody.
      if (start > at) this.expectPattern(at, start - at);
      at = start + (this.blocks.get(start) ?? 0);
    }
  }

  private taken(off: number, size: number): void {
    this.expectPattern(off, size);
    this.blocks.set(off, size);
    this.held += size;
  }

  private given(off: number, size: number): void {
    if (this.blocks.get(off) !== size) throw new Error(`a block of ${size} is given that was not taken`);
    this.blocks.delete(off);
    this.held -= size;
    this.fill(off, size);
  }

  private expectPattern(off: number, size: number): void {
    for (let at = 0; at < size; at += this.whole.length) {
      const part = Math.min(this.whole.length, size - at);
      if (this.bytes(off + at, part).compare(this.whole, 0, part) !== 0)
        throw new Error(`free arena in [${off + at}, ${off + at + part}) was written to`);
    }
  }

  private fill(off: number, len: number): void {
    for (let at = 0; at < len; at += this.whole.length)
      this.whole.copy(this.arena.memory.bytes, off + at, 0, Math.min(this.whole.length, len - at));
  }

  private bytes(off: number, len: number): Buffer {
    const { bytes } = this.arena.memory;
    return Buffer.from(bytes.buffer, bytes.byteOffset + off, len);
  }
}
