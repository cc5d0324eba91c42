// Frames that wait, one behind the other in blocks of the arena. A block is given back when the last of its frames has
// gone. One block is held from the start, so that a link can always carry something; more are taken as frames wait, up
// to a limit of the store's and one of all stores of the arena together. Beside the bytes, FrameRing: in which order
// they leave, and when.

import { type Account, type Arena, blockSize } from '../base/arena.ts';
import { assert } from '../base/assert.ts';
import { type Micros, NEVER } from '../base/clock.ts';

/** Two of the longest frames of any link. The arena aligns a block to its size: a frame's offset tells its block. */
const BLOCK_LEN = 131072;
const BLOCK_SHIFT = 17;
/** Of the arena at most; both directions of one link have it each. */
const ARENA_SHARE = 1 / 16;
const MAX_STORE_LEN = 8 << 20;
/** Of the arena, for all stores together, or a few links with a long delay would leave nothing for TCP. */
const ALL_SHARE = 1 / 4;
/** So much of that for frames that wait. The rest is for links that come later: who fills it must not keep them out. */
const WAITING_SHARE = 3 / 16;
/** A frame takes that much at least: this bounds how many there are. */
const MIN_FRAME_ROOM = 64;

export class FrameStore {
  /** place() said no, and nothing has been given back since. */
  full = false;
  /** Where a frame may be built that is not kept, -1 if the store was not asked to have such a place. */
  readonly spare: number;
  readonly spareLen: number;
  private readonly arena: Arena;
  private readonly account: Account;
  private readonly maxBlocks: number;
  private blocks = 1;
  /** Frames in each block of the arena that is one of ours. */
  private readonly frames: Int32Array;
  /** The block that is being filled, and how far. */
  private filling: number;
  private filled = 0;
  /** What place() said, and how long the frame there may be. */
  private placed = -1;
  private placedLen = 0;

  /** Throws when the arena, or the stores' part of it, has no room for the first block and `spareLen` bytes. */
  constructor(arena: Arena, spareLen: number) {
    this.arena = arena;
    this.account = arena.waitingAccount;
    this.maxBlocks = Math.max(2, Math.min(MAX_STORE_LEN, arena.size * ARENA_SHARE) / BLOCK_LEN);
    this.frames = new Int32Array(Math.ceil(arena.size / BLOCK_LEN));
    this.spareLen = spareLen;
    this.filling = this.take(BLOCK_LEN, ALL_SHARE);
    this.spare = this.filling < 0 || spareLen === 0 ? -1 : this.take(spareLen, ALL_SHARE);
    if (this.filling >= 0 && (this.spare >= 0 || spareLen === 0)) return;
    if (this.filling >= 0) this.giveBlock(this.filling);
    throw new Error('the arena has no room for the waiting frames of another link');
  }

  /** Room for a frame of up to `maxLen` bytes, or -1. Forgotten, unless keep() follows. */
  place(maxLen: number): number {
    this.placed = -1;
    if (maxLen > BLOCK_LEN) return -1;
    // A frame of no bytes takes room, too: behind a block that is exactly full it would be in somebody else's.
    if (this.filled + Math.max(MIN_FRAME_ROOM, maxLen) > BLOCK_LEN && !this.nextBlock()) {
      this.full = true;
      return -1;
    }
    this.placed = this.filling + this.filled;
    this.placedLen = maxLen;
    return this.placed;
  }

  /** The frame at place() stays, `len` bytes of it, until drop(). */
  keep(len: number): void {
    assert(this.placed >= 0 && len <= this.placedLen, 'a frame that is kept is where place() said');
    this.frames[this.placed >>> BLOCK_SHIFT]! += 1;
    this.filled += Math.max(MIN_FRAME_ROOM, (len + 7) & ~7);
    this.placed = -1;
  }

  /** The frame that was kept at `off` is not needed any more. */
  drop(off: number): void {
    const block = off >>> BLOCK_SHIFT;
    this.frames[block]! -= 1;
    if (this.frames[block]! > 0) return;
    this.full = false;
    // The place that is being built in, if there is one, is behind the end of what is kept, and moves for nobody.
    if (block !== this.filling >>> BLOCK_SHIFT) this.giveBlock(block << BLOCK_SHIFT);
    else if (this.placed < 0) this.filled = 0;
  }

  /** Gives everything back. Nothing else may be called after it. */
  free(): void {
    for (const [block, frames] of this.frames.entries()) {
      if (frames > 0 && block !== this.filling >>> BLOCK_SHIFT) this.giveBlock(block << BLOCK_SHIFT);
    }
    this.giveBlock(this.filling);
    if (this.spare >= 0) this.arena.give(this.spare, this.spareLen, this.account);
  }

  private nextBlock(): boolean {
    if (this.frames[this.filling >>> BLOCK_SHIFT] === 0) {
      this.filled = 0;
      return true;
    }
    if (this.blocks >= this.maxBlocks) return false;
    const block = this.take(BLOCK_LEN, WAITING_SHARE);
    if (block < 0) return false;
    this.blocks++;
    this.filling = block;
    this.filled = 0;
    return true;
  }

  /** -1 when all stores together would have more than `share` of the arena. */
  private take(bytes: number, share: number): number {
    const { arena, account } = this;
    if (account.used + blockSize(bytes) > arena.size * share) return -1;
    return arena.take(bytes, account);
  }

  private giveBlock(off: number): void {
    this.blocks--;
    this.arena.give(off, BLOCK_LEN, this.account);
  }
}

/** A queue of frames with a time each, in typed arrays that are doubled when they are full. */
export class FrameRing {
  count = 0;
  private head = 0;
  private times = new Float64Array(16);
  private offs = new Int32Array(16);
  private lens = new Int32Array(16);

  push(at: Micros, off: number, len: number): void {
    if (this.count === this.times.length) this.grow();
    const i = (this.head + this.count) & (this.times.length - 1);
    this.times[i] = at;
    this.offs[i] = off;
    this.lens[i] = len;
    this.count++;
  }

  /** The oldest one's, NEVER where there is none. */
  get at(): Micros {
    return this.count === 0 ? NEVER : this.times[this.head]!;
  }

  get off(): number {
    return this.offs[this.head]!;
  }

  get len(): number {
    return this.lens[this.head]!;
  }

  /** Removes the oldest. */
  shift(): void {
    this.head = (this.head + 1) & (this.times.length - 1);
    this.count--;
  }

  /** Undoes shift(), if nothing was pushed since. */
  putBack(): void {
    this.head = (this.head - 1) & (this.times.length - 1);
    this.count++;
  }

  /** Removes the youngest. */
  pop(): void {
    this.count--;
  }

  each(show: (off: number, len: number) => void): void {
    for (let i = 0; i < this.count; i++) {
      const at = (this.head + i) & (this.times.length - 1);
      show(this.offs[at]!, this.lens[at]!);
    }
  }

  clear(): void {
    this.count = 0;
  }

  private grow(): void {
    const { times, offs, lens, head } = this;
    const size = times.length;
    this.times = new Float64Array(2 * size);
    this.offs = new Int32Array(2 * size);
    this.lens = new Int32Array(2 * size);
    for (let i = 0; i < size; i++) {
      const from = (head + i) & (size - 1);
      this.times[i] = times[from]!;
      this.offs[i] = offs[from]!;
      this.lens[i] = lens[from]!;
    }
    this.head = 0;
  }
}
