// Frames that a transmit queue holds, passed on to a sink batch by batch, as far as a turn goes: how what is sent at one
// end of a cable in memory arrives at the other.
//
// A frame is passed on where it lies in the queue's batch, if that is in the sink's memory; else as many bytes as one
// turn may deliver are copied to a landing place first. The frames behind one that was taken are offered as a train. A
// batch is free again when its last frame has been passed on.

import type { Memory } from '../base/memory.ts';
import { Region } from '../base/region.ts';
import { Budget } from '../base/turn.ts';
import { eachFrame, PREFIX_LEN } from './framing.ts';
import type { LinkHost, LinkSink, ShowFrame } from './link.ts';
import type { TransmitQueue } from './transmit.ts';

/** What one turn delivers at most, or a bulk transfer would run in one and starve the event loop. */
export const BYTES_PER_TURN = 262144;

export interface DeliveryParts {
  readonly queue: TransmitQueue;
  /** The memory that the queue's batches are in. */
  readonly from: Memory;
  /** BYTES_PER_TURN bytes of the sink's memory, if that is another; else -1. */
  readonly landing: number;
  readonly host: LinkHost;
  readonly sink: LinkSink;
  /** Whoever was refused by the queue has room again. */
  readonly onRoom: () => void;
}

export class Delivery {
  private readonly parts: DeliveryParts;
  private readonly budget: Budget;
  /** What of the oldest batch is still to be passed on, where it begins, and how far of it is offered just now. */
  private readonly batch = new Region();
  private batchFrom = 0;
  private offeredTo = 0;
  private readonly run = { at: 0, end: 0, most: 0 };
  private running = false;
  private stopped = false;

  constructor(parts: DeliveryParts) {
    this.parts = parts;
    this.budget = new Budget(parts.host.turn);
  }

  /** Is deliver() under way? Then the batches are in use, also after stop(). */
  get isRunning(): boolean {
    return this.running;
  }

  /** Passes on what one turn may. Call inside a turn's ingress. True when there is more. */
  deliver(): boolean {
    this.running = true;
    this.budget.begin();
    const more = !this.stopped && this.passBatches();
    this.budget.end();
    this.running = false;
    return more;
  }

  /** Nothing is passed on any more. */
  stop(): void {
    this.stopped = true;
  }

  /** The frames that were passed on last, while deliver() is under way. See Link.recall. */
  recall(show: ShowFrame): void {
    if (!this.running) return;
    const { batch, offeredTo } = this;
    const { from } = this.parts;
    const end = Math.max(batch.off, offeredTo);
    eachFrame(from, this.batchFrom, end, (off, len) => show('from-guest', from, off, len));
  }

  private passBatches(): boolean {
    const { batch } = this;
    const { queue, onRoom } = this.parts;
    let bytes = BYTES_PER_TURN;
    while (bytes > 0 && this.budget.left > 0) {
      if (batch.len === 0) {
        if (!queue.next(batch)) return false;
        this.batchFrom = batch.off;
      }
      const before = batch.len;
      this.passSome(bytes);
      bytes -= before - batch.len;
      if (this.stopped) return false;
      if (batch.len === 0 && queue.release()) onRoom();
    }
    return batch.len > 0 || !queue.isEmpty;
  }

  /** About `bytes` bytes of `batch`, as far as the budget goes. */
  private passSome(bytes: number): void {
    const { from, host, landing, sink } = this.parts;
    const { batch, budget } = this;
    const { memory } = host.arena;
    let shift = 0;
    let span = Math.min(batch.len, bytes);
    if (landing >= 0) {
      span = spanOf(from, batch, bytes, budget.left);
      memory.bytes.set(from.bytes.subarray(batch.off, batch.off + span), landing);
      shift = landing - batch.off;
    }
    const { len: before } = batch;
    const end = batch.off + shift + span;
    while (batch.len > 0 && before - batch.len < bytes && budget.takeFrame()) {
      const len = from.view.getUint32(batch.off);
      const frame = batch.off + PREFIX_LEN;
      batch.off = frame + len;
      batch.len -= PREFIX_LEN + len;
      sink.onFrame(frame + shift, len);
      if (this.stopped) return;
      this.offerRest(shift, end);
    }
  }

  /** The frames behind, up to `end` in the sink's memory, `shift` from where they lie in the batch. */
  private offerRest(shift: number, end: number): void {
    const { batch, run } = this;
    const { sink } = this.parts;
    if (sink.onFrames === undefined || batch.off + shift >= end) return;
    run.at = batch.off + shift;
    run.end = end;
    run.most = Math.max(0, this.budget.left);
    this.offeredTo = end - shift;
    sink.onFrames(run);
    this.offeredTo = 0;
    const taken = run.at - shift - batch.off;
    batch.off += taken;
    batch.len -= taken;
  }
}

/** The bytes of as many whole frames at the front of `batch` as are passed on at most. */
function spanOf(from: Memory, batch: Region, bytes: number, most: number): number {
  let span = 0;
  for (let frames = 0; span < batch.len && span < bytes && frames < most; frames++) {
    span += PREFIX_LEN + from.view.getUint32(batch.off + span);
  }
  return span;
}
