// The one memory of a network. Receive buffers of links, transmit batches, the rings of flows, fragments being put
// together: all of it lives here, so that a frame is an offset and a length and nothing else, sockets read into it and
// write from it, and every checksum is the kernel's.
//
// The arena is carved by a buddy allocator: blocks are powers of two from 4 KiB up, a block given back merges with its
// buddy when that is free too. Taking and giving cost a few array reads, no search and no garbage. Who takes says for
// whom (an Account), so that one guest cannot starve another: see `mayTake`.
//
// A few of the smallest blocks are kept loose, neither held nor merged: a flow that carries a message now and then takes
// one for it and gives it back at once, and the next flow gets the same one, still in the processor's cache.
//
// The first block is never handed out: offset 0 can mean "none".

import { assert } from './assert.ts';
import type { Memory } from './memory.ts';

/** The smallest block in bytes. */
export const MIN_BLOCK = 4096;
const MIN_SHIFT = 12;
const NONE = -1;
/** A guest holds at most this many times what is left for all others. */
const OF_THE_FREE = 7;
/** In `state`. */
const LOOSE = 127;
const MAX_LOOSE = 16;

/** Who holds arena bytes: one per guest, one for what belongs to nobody. */
export class Account {
  /** Bytes of blocks held now. */
  used = 0;
  /** Flows this account has now; an account without flows leaves the pool to the others. */
  flows = 0;
}

/** The memory of a network, in blocks: what all its flows hold is a share of it, and no more. */
export class Arena {
  readonly memory: Memory;
  /** Bytes in blocks that are held now. */
  used = 0;
  /** For blocks that are given back before the call that took them returns. */
  readonly scratchAccount = new Account();
  /** For frames that wait in links which are bad on purpose, all of them together. */
  readonly waitingAccount = new Account();
  /** Accounts that have flows. Kept by whoever opens and ends flows. */
  activeAccounts = 0;
  private readonly blocks: number;
  private readonly maxOrder: number;
  /** Head of the free list of each order, a block index or NONE. */
  private readonly heads: Int32Array;
  private readonly next: Int32Array;
  private readonly prev: Int32Array;
  /** Per block: order + 1 where a free block begins, -(order + 1) where a held one does, LOOSE, else 0. */
  private readonly state: Int8Array;
  /** Loose blocks, the one that was given last at the end. */
  private readonly loose: number[] = [];

  /** The size of `memory` is a power of two times 64 KiB. */
  constructor(memory: Memory) {
    this.memory = memory;
    this.blocks = memory.bytes.length >>> MIN_SHIFT;
    this.maxOrder = 31 - Math.clz32(this.blocks);
    assert(1 << this.maxOrder === this.blocks, 'the arena is a power of two');
    this.heads = new Int32Array(this.maxOrder + 1).fill(NONE);
    this.next = new Int32Array(this.blocks).fill(NONE);
    this.prev = new Int32Array(this.blocks).fill(NONE);
    this.state = new Int8Array(this.blocks);
    this.insert(0, this.maxOrder);
    this.takeOrder(0);
  }

  get size(): number {
    return this.memory.bytes.length;
  }

  /**
   * A block of at least `bytes`, rounded up to a power of two: its offset, or -1 where there is none left or
   * `account` may not have it. The contents are what the last holder left.
   */
  take(bytes: number, account: Account): number {
    const order = orderOf(bytes);
    if (order > this.maxOrder || !this.mayTake(account, MIN_BLOCK << order)) return -1;
    const block = order === 0 && this.loose.length > 0 ? this.takeLoose() : this.takeOrder(order);
    if (block === NONE) return -1;
    account.used += MIN_BLOCK << order;
    this.used += MIN_BLOCK << order;
    return block << MIN_SHIFT;
  }

  /** Gives back what take(bytes, account) returned. */
  give(off: number, bytes: number, account: Account): void {
    const order = orderOf(bytes);
    const block = off >>> MIN_SHIFT;
    assert(this.state[block] === -(order + 1), 'a block given back is one that was taken');
    account.used -= MIN_BLOCK << order;
    this.used -= MIN_BLOCK << order;
    if (order === 0 && this.loose.length < MAX_LOOSE) {
      this.state[block] = LOOSE;
      this.loose.push(block);
    } else this.merge(block, order);
  }

  /**
   * Half of the pool at most while another guest has flows, seven eighths for a guest alone: for one that comes, or a
   * link, there is something left whatever the others have. What is no guest's has limits of its own.
   */
  private mayTake(account: Account, bytes: number): boolean {
    const isGuest = account.flows > 0;
    const others = this.activeAccounts - (isGuest ? 1 : 0);
    const held = account.used + bytes;
    if (others > 0 && held > this.size / 2) return false;
    return !isGuest || held <= OF_THE_FREE * (this.size - this.used - bytes);
  }

  private takeOrder(order: number): number {
    let from = order;
    while (from <= this.maxOrder && this.heads[from] === NONE) from++;
    if (from > this.maxOrder) return this.loose.length > 0 ? this.takeMerged(order) : NONE;
    const block = this.heads[from]!;
    this.unlink(block, from);
    while (from > order) {
      from--;
      this.insert(block + (1 << from), from);
    }
    this.state[block] = -(order + 1);
    return block;
  }

  /** `block`, held until now, is free: as large as its free buddies make it. */
  private merge(block: number, order: number): void {
    this.state[block] = 0;
    let first = block;
    let at = order;
    for (; at < this.maxOrder; at++) {
      const buddy = first ^ (1 << at);
      if (this.state[buddy] !== at + 1) break;
      this.unlink(buddy, at);
      first &= ~(1 << at);
    }
    this.insert(first, at);
  }

  private takeLoose(): number {
    const block = this.loose.pop()!;
    this.state[block] = -1;
    return block;
  }

  /** The loose blocks may be what is missing for a larger one. */
  private takeMerged(order: number): number {
    for (const block of this.loose) this.merge(block, 0);
    this.loose.length = 0;
    return this.takeOrder(order);
  }

  private insert(block: number, order: number): void {
    const head = this.heads[order]!;
    this.next[block] = head;
    this.prev[block] = NONE;
    if (head !== NONE) this.prev[head] = block;
    this.heads[order] = block;
    this.state[block] = order + 1;
  }

  private unlink(block: number, order: number): void {
    const next = this.next[block]!;
    const prev = this.prev[block]!;
    if (prev === NONE) this.heads[order] = next;
    else this.next[prev] = next;
    if (next !== NONE) this.prev[next] = prev;
    this.state[block] = 0;
  }
}

/** The size of the block that take(bytes) hands out. */
export function blockSize(bytes: number): number {
  return MIN_BLOCK << orderOf(bytes);
}

function orderOf(bytes: number): number {
  return bytes <= MIN_BLOCK ? 0 : 32 - Math.clz32((bytes - 1) >>> MIN_SHIFT);
}
