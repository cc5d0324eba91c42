// Host to guest: what is read from a flow's stream, on its way into tcb.sendRing.
//
// Node asks where the next read is to land right after the last one, and that place stays reserved until the read comes,
// maybe for hours. So only a quick flow, whose last read was large, gives a place in its ring; any other gives none, its
// reads land on the pad that all flows of the host share and are copied, and an idle flow owns no arena. The ring may
// grow, and so move, only when no read is reserved, which is inside read().
//
// Reading stops when the ring could not take a whole pad. What was read already and finds no room, because the arena has
// none or the ring's limit is below a pad, waits in `spill`, at most one pad, and nothing more is read until it is gone.

import { type Ms, NEVER } from '../base/clock.ts';
import { Loss } from '../base/drop.ts';
import { Region } from '../base/region.ts';
import { Timer } from '../base/timers.ts';
import type { HostStream } from '../host/host-network.ts';
import type { Tcb } from '../tcp/tcb.ts';
import * as user from '../tcp/user.ts';
import type { NatContext } from './context.ts';

/** What the host's pad holds: a read can bring as much, whatever the ring has room for. */
const PAD_BYTES = 65536;
/** A read of this size says that more is coming: the next one goes straight into the ring. */
const QUICK_READ = 16384;
/** Less contiguous room than this is not worth a system call. */
const MIN_DIRECT = 4096;
const SPILL_RETRY: Ms = 20;

const region = new Region();

export class Download {
  /** Bytes read. */
  bytes = 0;
  /** The host's FIN has come. */
  finished = false;
  private readonly context: NatContext;
  private readonly tcb: Tcb;
  /** Where the next read lands in sendRing; -1: on the pad. */
  private readOff = -1;
  private quick = false;
  private paused = true;
  private spill: Uint8Array | null = null;
  private retry: Timer | null = null;

  constructor(context: NatContext, tcb: Tcb) {
    this.context = context;
    this.tcb = tcb;
  }

  /** Is there nothing that the guest has not acknowledged? */
  get isDelivered(): boolean {
    return this.spill === null && this.tcb.sendRing.length === 0;
  }

  /** Is the host's socket not read, because the guest has not taken what was? */
  get isPaused(): boolean {
    return this.paused && !this.finished;
  }

  /** Bytes read that found no room in the send ring. */
  get spilled(): number {
    return this.spill?.length ?? 0;
  }

  /** See HostStreamEvents.reserveRead. */
  reserve(into: Region): void {
    this.readOff = -1;
    if (!this.quick || this.spill !== null) return;
    const { sendRing } = this.tcb;
    sendRing.writable(into);
    // Not to the last byte: the place that Node is given while the flow is paused should be worth reading to as well.
    if (sendRing.room > 2 * PAD_BYTES) into.len = Math.min(into.len, sendRing.room - PAD_BYTES);
    if (into.len < MIN_DIRECT) {
      into.len = 0;
      return;
    }
    this.readOff = into.off;
    sendRing.hold();
  }

  /** See HostStreamEvents.onRead. */
  read(off: number, len: number): boolean {
    const { sendRing } = this.tcb;
    const { now } = this.context.turn;
    if (this.readOff >= 0 && off === this.readOff && sendRing.isTail(off)) sendRing.extend(len);
    else if (!sendRing.push(off, len)) this.keep(off, len, now);
    sendRing.release();
    this.bytes += len;
    this.quick = len >= QUICK_READ;
    // Room for the next reads, so that they need no pad.
    if (this.quick) sendRing.ensure(Math.min(sendRing.length + 2 * PAD_BYTES, sendRing.limit));
    user.sent(this.tcb, now);
    this.paused = this.spill !== null || sendRing.room <= PAD_BYTES;
    return !this.paused;
  }

  /** Bytes were acknowledged: there may be room to read on. `stream` null: it is closed, and what it gave is all. */
  spaceFreed(stream: HostStream | null): void {
    if (this.spill !== null) this.retrySpill(stream, this.context.turn.now);
    const { sendRing } = this.tcb;
    // Not for every ACK: once there is room for a few reads.
    if (this.paused && sendRing.room >= Math.min(4 * PAD_BYTES, sendRing.limit / 2)) this.resume(stream);
  }

  resume(stream: HostStream | null): void {
    if (stream === null || !this.paused || this.finished || this.spill !== null) return;
    this.paused = false;
    stream.resume();
  }

  /** The host's FIN: ours to the guest follows the last byte. */
  end(): void {
    this.finished = true;
    if (this.spill === null) user.close(this.tcb, this.context.turn.now);
  }

  /** Nobody will have what is still on its way. */
  discard(): void {
    this.spill = null;
    if (this.retry !== null) this.context.timers.arm(this.retry, NEVER);
  }

  private keep(off: number, len: number, now: Ms): void {
    const { arena, drops } = this.context;
    this.spill = new Uint8Array(arena.memory.bytes.subarray(off, off + len));
    // Over the limit of the ring: the ACKs of what is in it make room.
    if (len > this.tcb.sendRing.room) this.moveSpill(now);
    else {
      drops.lose(Loss.ArenaFull);
      this.tryLater(now);
    }
  }

  private tryLater(now: Ms): void {
    // The first ACK asks as well; the timer is for a flow that has nothing under way.
    this.retry ??= new Timer(() => this.tcb.user.onSendSpace());
    this.context.timers.arm(this.retry, now + SPILL_RETRY);
  }

  private retrySpill(stream: HostStream | null, now: Ms): void {
    this.moveSpill(now);
    if (this.spill !== null) return;
    if (this.finished) user.close(this.tcb, now);
    else if (this.tcb.sendRing.room > PAD_BYTES) this.resume(stream);
  }

  /** As much of the spill as the ring's limit allows; all or nothing where it is the arena that has no room. */
  private moveSpill(now: Ms): void {
    const { sendRing } = this.tcb;
    const spill = this.spill!;
    const len = Math.min(spill.length, sendRing.room);
    if (!sendRing.ensure(sendRing.length + len)) {
      this.tryLater(now);
      return;
    }
    this.discard();
    for (let at = 0; at < len; ) {
      sendRing.writable(region);
      const part = Math.min(region.len, len - at);
      this.context.arena.memory.bytes.set(spill.subarray(at, at + part), region.off);
      sendRing.extend(part);
      at += part;
    }
    if (len < spill.length) this.spill = spill.subarray(len);
    user.sent(this.tcb, now);
  }
}
