// QEMU's framing of `-netdev stream` and `-netdev socket`: before each frame its length, 4 bytes, big-endian.
//
// The deframer works in place. Bytes are read to [readOff, readOff+room) of one buffer in the arena, received() says how
// many came, and every frame that is complete is passed on as an offset and a length where it lies. A frame that is
// not complete yet stays; only when less than half of the buffer is left behind it is it moved to the front. Half
// of the buffer is longer than the longest frame, so that one always fits.

import { assert } from '../base/assert.ts';
import type { Memory } from '../base/memory.ts';

/** Bytes of the length before each frame. */
export const PREFIX_LEN = 4;

/** What QEMU itself could send: its NET_BUFSIZE, 4096 + 65536. A longer frame is an error of the other side. */
export const MAX_STREAM_FRAME = 69632;

/** The receive buffer of a stream link in bytes. */
export const RECEIVE_BUFFER_LEN = 262144;

/** Takes each frame; the bytes are lent for the call. */
export interface FrameSink {
  onFrame(off: number, len: number): void;
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
  private readonly base: number;
  private readonly size: number;
  /** First byte not passed on, and the end of what has arrived. */
  private start: number;
  private end: number;
  /** What received() passed on last: frames from here to there. */
  private passedFrom: number;
  private passedTo: number;
  private stopped = false;

  /** The buffer is [off, off+size) of `memory`, lent for as long as the deframer is used. */
  constructor(memory: Memory, off: number, size: number, sink: FrameSink) {
    assert(size >= 2 * (MAX_STREAM_FRAME + PREFIX_LEN), 'the receive buffer holds two of the longest frames');
    this.memory = memory;
    this.sink = sink;
    this.base = off;
    this.size = size;
    this.start = off;
    this.end = off;
    this.passedFrom = off;
    this.passedTo = off;
  }

  /** Where the next bytes are to be read to. */
  get readOff(): number {
    return this.end;
  }

  /** How many bytes fit there, at least half of the buffer. */
  get room(): number {
    return this.base + this.size - this.end;
  }

  /**
   * `count` bytes have arrived at `readOff`, at most `room`. Passes on each frame that is complete; one of 0 to 13 bytes
   * too, which is whole, if no Ethernet. False after a length above MAX_STREAM_FRAME: the stream makes no sense from
   * there on, and nothing more is passed on.
   */
  received(count: number): boolean {
    const { view } = this.memory;
    this.end += count;
    this.passedFrom = this.start;
    this.passedTo = this.start;
    while (!this.stopped && this.end - this.start >= PREFIX_LEN) {
      const len = view.getUint32(this.start);
      if (len > MAX_STREAM_FRAME) {
        this.stopped = true;
        return false;
      }
      const frame = this.start + PREFIX_LEN;
      if (frame + len > this.end) break;
      this.start = frame + len;
      this.passedTo = this.start;
      this.sink.onFrame(frame, len);
    }
    this.makeRoom();
    return true;
  }

  /** The frames that the last received() passed on, the one that it did not come back from included. */
  recall(show: (off: number, len: number) => void): void {
    eachFrame(this.memory, this.passedFrom, this.passedTo, show);
  }

  /** No frame is passed on from now on, not even one that has arrived already. */
  stop(): void {
    this.stopped = true;
  }

  private makeRoom(): void {
    const partial = this.end - this.start;
    if (partial > 0 && this.room >= this.size / 2) return;
    if (partial > 0) {
      this.memory.copy(this.base, this.start, partial);
      // It may lie where they were.
      this.passedTo = this.passedFrom;
    }
    this.start = this.base;
    this.end = this.base + partial;
  }
}
