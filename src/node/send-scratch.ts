// Where a datagram lies while it is sent: a place in the arena that all sockets of a host share. The system mostly takes a
// datagram within the call, and the place is free again. A view of it costs more than the copy to it, so there is one for as
// long as datagrams are of one size, as they are in a burst.

import type { Socket } from 'node:dgram';
import type { Memory } from '../base/memory.ts';
import { arenaView } from './arena-view.ts';

/** The longest datagram, in a block of the arena. */
export const SCRATCH_LEN = 65536;

export class SendScratch {
  private readonly memory: Memory;
  private readonly off: number;
  private view: Buffer;
  /** libuv still reads from it for this socket. */
  private holder: Socket | null = null;

  /** The place is [off, off + SCRATCH_LEN), lent for as long as anything is sent. */
  constructor(memory: Memory, off: number) {
    this.memory = memory;
    this.off = off;
    this.view = arenaView(memory, off, 0);
  }

  /** A copy of [off, off+len), to be sent before the next is asked for: in the place, or, while that is held, of its own. */
  copy(off: number, len: number): Buffer {
    if (this.holder !== null && isWaiting(this.holder)) return copyOf(this.memory, off, len);
    this.holder = null;
    this.memory.copy(this.off, off, len);
    if (this.view.length !== len) this.view = arenaView(this.memory, this.off, len);
    return this.view;
  }

  /** `socket` was given `sent` and has not sent it yet. */
  hold(sent: Buffer, socket: Socket): void {
    if (sent === this.view) this.holder = socket;
  }
}

/** A copy of [off, off+len) in memory of its own. */
export function copyOf({ bytes }: Memory, off: number, len: number): Buffer {
  return Buffer.from(bytes.subarray(off, off + len));
}

function isWaiting(socket: Socket): boolean {
  try {
    return socket.getSendQueueCount() > 0;
  } catch {
    // It is closed, and what was with libuv has been given up.
    return false;
  }
}
