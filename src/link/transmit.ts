// Frames for a guest, gathered. A queue is a few batches of 256 KiB in the arena; each frame is built or copied behind
// the last one with QEMU's length prefix before it, so that a batch can be handed to the operating system as it is:
// one write for all frames of a turn.
//
// The batches are used in a circle. `head` is the oldest that holds frames: handed out by next() until release(), or
// closed and waiting; after the closed ones comes the batch that is being filled. When that is full and all others are
// closed, reserve() says -1, and the release() that ends this returns true.

import type { Arena } from '../base/arena.ts';
import { Account } from '../base/arena.ts';
import { assert } from '../base/assert.ts';
import type { Region } from '../base/region.ts';
import { eachFrame, PREFIX_LEN } from './framing.ts';

/** Bytes of one batch. */
export const BATCH_LEN = 262144;

export class TransmitQueue {
  private readonly arena: Arena;
  private readonly account = new Account();
  /** Offset and bytes in use of each batch. */
  private readonly offs: Int32Array;
  private readonly lens: Int32Array;
  private head = 0;
  /** Batches from `head` on that take no more frames. The one behind them is being filled. */
  private closed = 0;
  private handedOut = false;
  /** Somebody was told -1 and not yet told otherwise. */
  private refused = false;
  /** Where the frame that is being built begins, and how long it may become; -1: none. */
  private frame = -1;
  private frameRoom = 0;

  /** Takes `batches`, two at least, from the arena; throws when it has no room for them. */
  constructor(arena: Arena, batches: number) {
    assert(batches >= 2, 'one batch is filled while another is sent');
    this.arena = arena;
    this.offs = new Int32Array(batches);
    this.lens = new Int32Array(batches);
    for (let i = 0; i < batches; i++) {
      const off = arena.take(BATCH_LEN, this.account);
      if (off < 0) {
        for (let j = 0; j < i; j++) arena.give(this.offs[j]!, BATCH_LEN, this.account);
        throw new Error('the arena has no room for the transmit buffers of another link');
      }
      this.offs[i] = off;
    }
  }

  /** Is there anything that next() could hand out, now or after release()? */
  get isEmpty(): boolean {
    return this.closed === (this.handedOut ? 1 : 0) && this.lens[this.filling] === 0;
  }

  /** See Link.reserve. */
  reserve(maxLen: number): number {
    assert(maxLen <= BATCH_LEN - PREFIX_LEN, 'a frame fits into a batch');
    let at = this.filling;
    if (this.lens[at]! + PREFIX_LEN + maxLen > BATCH_LEN) {
      if (this.closed + 1 === this.offs.length) {
        this.refused = true;
        this.frame = -1;
        return -1;
      }
      this.closed++;
      at = this.filling;
    }
    this.frame = this.offs[at]! + this.lens[at]! + PREFIX_LEN;
    this.frameRoom = maxLen;
    return this.frame;
  }

  /** See Link.commit. */
  commit(len: number): void {
    assert(this.frame >= 0 && len <= this.frameRoom, 'a frame is committed where it was reserved');
    this.arena.memory.view.setUint32(this.frame - PREFIX_LEN, len);
    this.lens[this.filling]! += PREFIX_LEN + len;
    this.frame = -1;
  }

  /** See Link.extend. */
  extend(len: number, count: number): number {
    const at = this.filling;
    const used = this.lens[at]!;
    // The one that was committed last lies in it.
    assert(used >= PREFIX_LEN + len, 'more frames come behind one that is there');
    const fit = Math.min(count, Math.floor((BATCH_LEN - used) / (PREFIX_LEN + len)));
    this.lens[at] = used + fit * (PREFIX_LEN + len);
    return fit;
  }

  /** See Link.send. */
  send(off: number, len: number): boolean {
    const to = this.reserve(len);
    if (to < 0) return false;
    this.arena.memory.copy(to, off, len);
    this.commit(len);
    return true;
  }

  /**
   * Sets `region` to the oldest batch, prefixes included, which is the caller's until release(). False when there is
   * none, or the one before has not been released.
   */
  next(region: Region): boolean {
    if (this.handedOut) return false;
    if (this.closed === 0) {
      if (this.lens[this.head] === 0) return false;
      // A frame that was reserved in it stays reserved no longer: link.ts lets nothing come between but commit().
      this.frame = -1;
      this.closed = 1;
    }
    this.handedOut = true;
    region.off = this.offs[this.head]!;
    region.len = this.lens[this.head]!;
    return true;
  }

  /** The batch that next() gave is free again. True when somebody was refused before and there is room now. */
  release(): boolean {
    assert(this.handedOut, 'a batch is released once');
    this.handedOut = false;
    this.lens[this.head] = 0;
    // Where nothing waits behind it the next frames go into the same batch: that one is in the processor's cache.
    if (this.closed > 1 || this.lens[this.filling]! > 0 || this.frame >= 0)
      this.head = (this.head + 1) % this.offs.length;
    this.closed--;
    const { refused } = this;
    this.refused = false;
    return refused;
  }

  /** Every frame that has not been released, the oldest first. */
  recall(show: (off: number, len: number) => void): void {
    for (let i = 0; i <= this.closed && i < this.offs.length; i++) {
      const at = (this.head + i) % this.offs.length;
      eachFrame(this.arena.memory, this.offs[at]!, this.offs[at]! + this.lens[at]!, show);
    }
  }

  /** Gives the batches back to the arena. Nothing else may be called after it. */
  free(): void {
    for (const off of this.offs) this.arena.give(off, BATCH_LEN, this.account);
  }

  private get filling(): number {
    return (this.head + this.closed) % this.offs.length;
  }
}
