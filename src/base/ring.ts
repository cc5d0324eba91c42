// A byte queue in the arena: what a TCP flow buffers in one direction. Sockets read straight into it and are written
// straight from it, segments are checksummed on their way in or out, so payload moves once.
//
// Bytes are addressed by their distance from the head. [0, length) is in the queue; what lies behind may be written
// early (out-of-order segments) and joins when the gap is closed. The storage is one block of the arena, none while
// there is nothing to keep, doubled when it is too small, up to `limit`. Growing copies to a new block. Where a region
// of the old one is still in somebody's hands (a socket's read or write: `hold`), the old block stays until release().
// The smallest storage goes with the last byte: a flow that carries a message now and then needs it for that long only.

import type { Account, Arena } from './arena.ts';
import { blockSize, MIN_BLOCK } from './arena.ts';
import { atOddOffset } from './memory.ts';
import type { Region } from './region.ts';

export class Ring {
  /** Most bytes it may hold, a power of two. */
  readonly limit: number;
  /** Bytes in the queue. */
  length = 0;
  private readonly arena: Arena;
  private readonly account: Account;
  /** The block; capacity 0: none. */
  private base = 0;
  private capacity = 0;
  private head = 0;
  /** Bytes from the head to the end of what was written, early or not. */
  private written = 0;
  private held = false;
  /** The block that a held region lies in, when the ring has moved on. */
  private oldBase = 0;
  private oldCapacity = 0;

  constructor(arena: Arena, account: Account, limit: number) {
    this.arena = arena;
    this.account = account;
    this.limit = limit;
  }

  /** Bytes that still fit under the limit. */
  get room(): number {
    return this.limit - this.length;
  }

  /** Bytes of arena it holds. */
  get storage(): number {
    return this.capacity + this.oldCapacity;
  }

  /** Makes storage for [0, extent). False when that is over the limit or the arena has no room. */
  ensure(extent: number): boolean {
    if (extent <= this.capacity) return true;
    if (extent > this.limit) return false;
    const least = Math.min(blockSize(extent), this.limit);
    const wanted = Math.min(Math.max(least, 2 * this.capacity), this.limit);
    return this.grow(wanted) || (least < wanted && this.grow(least));
  }

  /** Copies [src, src+len) of the arena to [at, at+len), for which ensure() said yes. */
  store(at: number, src: number, len: number): void {
    const { memory } = this.arena;
    const to = this.wrap(this.head + at);
    const first = Math.min(len, this.capacity - to);
    memory.copy(this.base + to, src, first);
    if (first < len) memory.copy(this.base, src + first, len - first);
    if (at + len > this.written) this.written = at + len;
  }

  /**
   * As store(), but what was written is not kept until extend() says so; returns the checksum of the bytes, as
   * Memory.copySum does. [src, src+len) is not in this ring.
   */
  storeSum(at: number, src: number, len: number): number {
    const { memory } = this.arena;
    const to = this.wrap(this.head + at);
    const first = Math.min(len, this.capacity - to);
    const sum = memory.copySum(this.base + to, src, first);
    if (first === len) return sum;
    const rest = memory.copySum(this.base, src + first, len - first);
    return sum + (first % 2 === 0 ? rest : atOddOffset(rest));
  }

  /** Appends a copy of [src, src+len). False, and nothing done, when there is no room. */
  push(src: number, len: number): boolean {
    if (!this.ensure(this.length + len)) return false;
    this.store(this.length, src, len);
    this.length += len;
    return true;
  }

  /** The `len` bytes behind the queue, written before by store() or in the reserved region, join it. */
  extend(len: number): void {
    this.length += len;
    if (this.length > this.written) this.written = this.length;
  }

  /** Takes `len` bytes off the front. */
  consume(len: number): void {
    this.length -= len;
    this.written -= len;
    this.head = this.wrap(this.head + len);
    if (this.written > 0 || this.held) return;
    // The same bytes of memory again and again stay in the processor's cache, and what is in the queue lies in one piece.
    this.head = 0;
    if (this.capacity === MIN_BLOCK) this.free();
  }

  /** Sets `region` to the contiguous bytes from `at` on, at most up to the queue's end. */
  readable(at: number, region: Region): void {
    const from = this.wrap(this.head + at);
    region.off = this.base + from;
    region.len = Math.min(this.length - at, this.capacity - from);
  }

  /** Sets `region` to the contiguous free bytes right behind the queue; `len` 0 when there is no storage. */
  writable(region: Region): void {
    const from = this.wrap(this.head + this.length);
    region.off = this.base + from;
    region.len = this.capacity === 0 ? 0 : Math.min(this.capacity - this.length, this.capacity - from);
  }

  /** Is `off` the first free byte behind the queue, in today's storage? */
  isTail(off: number): boolean {
    return this.capacity > 0 && off === this.base + this.wrap(this.head + this.length);
  }

  /** Copies [at, at+len) of the queue to `dst` and returns its checksum, as Memory.copySum does. */
  copySum(dst: number, at: number, len: number): number {
    const { memory } = this.arena;
    const from = this.wrap(this.head + at);
    const first = Math.min(len, this.capacity - from);
    const sum = memory.copySum(dst, this.base + from, first);
    if (first === len) return sum;
    const rest = memory.copySum(dst + first, this.base, len - first);
    return sum + (first % 2 === 0 ? rest : atOddOffset(rest));
  }

  /** A region of today's storage is in somebody's hands until release(). */
  hold(): void {
    this.held = true;
  }

  release(): void {
    this.held = false;
    if (this.oldCapacity > 0) this.arena.give(this.oldBase, this.oldCapacity, this.account);
    this.oldCapacity = 0;
  }

  /** Gives the storage back if the queue is empty and nobody holds a region of it. */
  shrink(): boolean {
    if (this.held || this.length > 0) return false;
    this.free();
    return true;
  }

  /** Gives everything back. Only when nobody holds a region. */
  free(): void {
    this.release();
    if (this.capacity > 0) this.arena.give(this.base, this.capacity, this.account);
    this.capacity = 0;
    this.head = 0;
    this.length = 0;
    this.written = 0;
  }

  private grow(capacity: number): boolean {
    const base = this.arena.take(capacity, this.account);
    if (base < 0) return false;
    this.moveTo(base, capacity);
    return true;
  }

  private moveTo(base: number, capacity: number): void {
    const { memory } = this.arena;
    const first = this.capacity - this.head;
    if (this.capacity > 0) {
      memory.copy(base, this.base + this.head, first);
      memory.copy(base + first, this.base, this.head);
      this.leave();
    }
    this.base = base;
    this.capacity = capacity;
    this.head = 0;
  }

  private leave(): void {
    if (this.held && this.oldCapacity === 0) {
      this.oldBase = this.base;
      this.oldCapacity = this.capacity;
    } else this.arena.give(this.base, this.capacity, this.account);
  }

  private wrap(index: number): number {
    return index & (this.capacity - 1);
  }
}
