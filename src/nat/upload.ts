// Guest to host: what has come in order, on its way from tcb.recvRing into a flow's stream, one write at a time, straight
// from the ring. Bytes leave the ring, and the window opens, when the kernel has them. The guest's FIN follows the last one.

import { Region } from '../base/region.ts';
import type { Turn } from '../base/turn.ts';
import type { HostStream } from '../host/host-network.ts';
import type { Tcb } from '../tcp/tcb.ts';
import * as user from '../tcp/user.ts';

const region = new Region();

export class Upload {
  /** Bytes that the host has taken. */
  bytes = 0;
  /** The guest says no more: its FIN has come, and all before it. */
  finished = false;
  /** The host has been told so. */
  ended = false;
  private readonly tcb: Tcb;
  private readonly turn: Turn;
  /** Bytes of recvRing in the hands of stream.write(). */
  private writing = 0;

  constructor(tcb: Tcb, turn: Turn) {
    this.tcb = tcb;
    this.turn = turn;
  }

  /** Passes on what there is. output() follows: the window may have opened. */
  writeTo(stream: HostStream): void {
    const { recvRing } = this.tcb;
    while (this.writing === 0 && recvRing.length > 0) {
      recvRing.readable(0, region);
      const { len } = region;
      this.writing = len;
      if (!stream.write(region.off, len)) {
        recvRing.hold();
        return;
      }
      this.writing = 0;
      this.took(len);
    }
    if (!this.finished || this.ended || recvRing.length > 0 || this.writing > 0) return;
    this.ended = true;
    stream.end();
  }

  /** The write that was under way is done. */
  written(): void {
    const len = this.writing;
    this.release();
    this.took(len);
  }

  /** Nothing is under way any more: the ring may go. */
  release(): void {
    this.writing = 0;
    this.tcb.recvRing.release();
  }

  /** The host has taken `len` bytes off the front of the ring. */
  private took(len: number): void {
    this.bytes += len;
    user.receivedBeforeOutput(this.tcb, len, this.turn.now);
  }
}
