// QEMU's framing of `-netdev stream` and `-netdev socket`: before each frame its length, 4 bytes, big-endian.
//
// The deframer works in place. Bytes are read to [readOff, readOff+room) of one buffer in the arena, received() says how
// many came, and every frame that is complete is passed on as an offset and a length where it lies, for as long as the
// link's budget lasts; passOn() goes on in the next turn, and nothing may be read meanwhile.
//
// The next bytes are read to right behind a frame that is not complete yet, while at least half of the buffer is free
// there. Else they are read to `front`, and what there is of the frame is moved to end where they will begin; before
// `front` there is room for the longest frame. The same where complete frames wait: a place to read to has to be said
// before they have been passed on.

import { assert } from '../base/assert.ts';
import type { FrameRun } from '../base/frame-run.ts';
import type { Memory } from '../base/memory.ts';
import type { Budget } from '../base/turn.ts';

/** Bytes of the length before each frame. */
export const PREFIX_LEN = 4;

/** What QEMU itself could send: its NET_BUFSIZE, 4096 + 65536. A longer frame is an error of the other side. */
export const MAX_STREAM_FRAME = 69632;

/** The receive buffer of a stream link in bytes: what a sender has ready for us comes in one read, half a buffer at least. */
export const RECEIVE_BUFFER_LEN = 524288;

/** Takes each frame; the bytes are lent for the call. See LinkSink. */
export interface FrameSink {
  onFrame(off: number, len: number): void;
  onFrames?(frames: FrameRun): void;
}

/** Calls `show` for each frame of [off, end), prefix and frame one after the other. */
export function eachFrame(
  memory: Memory,
  off: number,
  end: number,
  show: (off: number, len: number) => void,
): void {
  for (let at = off; at + PREFIX_LEN <= end; ) {
    const len = memory.view.getUint32(at);
    at += PREFIX_LEN + len;
    if (at <= end) show(at - len, len);
  }
}

export class Deframer {
  private readonly memory: Memory;
  private readonly sink: FrameSink;
  private readonly budget: Budget;
  private readonly base: number;
  private readonly size: number;
  private readonly front: number;
  /** First byte not passed on, and the end of what has arrived. */
  private start: number;
  private end: number;
  /** Where the next bytes are read to: `end`, unless complete frames wait. */
  private next: number;
  /** What was passed on last: frames from here to there. */
  private passedFrom: number;
  private passedTo: number;
  private stopped = false;
  private readonly run = { at: 0, end: 0, most: 0 };

  /** The buffer is [off, off+size) of `memory`, lent for as long as the deframer is used. */
  constructor(memory: Memory, off: number, size: number, sink: FrameSink, budget: Budget) {
    assert(size >= 2 * (MAX_STREAM_FRAME + PREFIX_LEN), 'the receive buffer holds two of the longest frames');
    this.memory = memory;
    this.sink = sink;
    this.budget = budget;
    this.base = off;
    this.size = size;
    this.front = off + PREFIX_LEN + MAX_STREAM_FRAME;
    this.start = this.front;
    this.end = this.front;
    this.next = this.front;
    this.passedFrom = this.front;
    this.passedTo = this.front;
  }

  /** Where the next bytes are to be read to, once there are no more frames to pass on. */
  get readOff(): number {
    return this.next;
  }

  /** How many bytes fit there, at least half of the buffer. */
  get room(): number {
    return this.base + this.size - this.next;
  }

  /** Are there complete frames, or a length that is none, to pass on? Then nothing more may be received. */
  get hasMore(): boolean {
    const behind = this.end - this.start - PREFIX_LEN;
    if (this.stopped || behind < 0) return false;
    const len = this.memory.view.getUint32(this.start);
    return len <= behind || len > MAX_STREAM_FRAME;
  }

  /**
   * `count` bytes have arrived at `readOff`, at most `room`. Passes on each frame that is complete, up to what the turn
   * has left; one of 0 to 13 bytes too, which is whole, if no Ethernet. False after a length above MAX_STREAM_FRAME: the
   * stream makes no sense from there on, and nothing more is passed on.
   */
  received(count: number): boolean {
    this.end += count;
    const good = this.passAll();
    if (!this.stopped) {
      this.next = this.hasMore || !this.staysInPlace() ? this.front : this.end;
      this.moveRest();
    }
    return good;
  }

  /** Passes on what received() has left, as far as this turn goes. What it returns is as there. */
  passOn(): boolean {
    const good = this.passAll();
    this.moveRest();
    return good;
  }

  /** The frames that were passed on last, in one go, the one that did not come back included. */
  recall(show: (off: number, len: number) => void): void {
    eachFrame(this.memory, this.passedFrom, this.passedTo, show);
  }

  /** No frame is passed on from now on, not even one that has arrived already. */
  stop(): void {
    this.stopped = true;
  }

  private passAll(): boolean {
    this.passedFrom = this.start;
    this.passedTo = this.start;
    this.budget.begin();
    const good = this.passFrames();
    this.budget.end();
    return good;
  }

  private passFrames(): boolean {
    const { view } = this.memory;
    while (!this.stopped && this.end - this.start >= PREFIX_LEN) {
      const len = view.getUint32(this.start);
      if (len > MAX_STREAM_FRAME) {
        this.stopped = true;
        return false;
      }
      const frame = this.start + PREFIX_LEN;
      if (frame + len > this.end || !this.budget.takeFrame()) return true;
      this.start = frame + len;
      this.passedTo = this.start;
      this.sink.onFrame(frame, len);
      if (!this.stopped && this.sink.onFrames !== undefined && this.end - this.start > PREFIX_LEN)
        this.offerRest();
    }
    return true;
  }

  private offerRest(): void {
    const { run } = this;
    run.at = this.start;
    run.end = this.end;
    run.most = Math.max(0, this.budget.left);
    // Should it not come back, any of them may be why.
    this.passedTo = this.end;
    this.sink.onFrames?.(run);
    this.start = run.at;
    this.passedTo = run.at;
  }

  /** Is there enough room behind the frame that is not complete yet? */
  private staysInPlace(): boolean {
    return this.end > this.start && this.base + this.size - this.end >= this.size / 2;
  }

  /** What there is of a frame that is not complete, to where the next bytes will be. */
  private moveRest(): void {
    if (this.stopped || this.hasMore || this.end === this.next) return;
    const len = this.end - this.start;
    const to = this.next - len;
    this.memory.copy(to, this.start, len);
    // It may lie where they were.
    if (this.passedFrom < this.next && this.passedTo > to) this.passedTo = this.passedFrom;
    this.start = to;
    this.end = this.next;
  }
}
