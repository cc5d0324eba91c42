// A guest whose emulator is in this process: frames are bytes that are handed over in calls. The simplest link there is
// for an embedder, and the shape that emulators have already: a function for a frame that the guest sends, a callback
// for one that it gets.
//
// From the guest: fromGuest() copies the frame to a queue in the arena and returns; it is passed on in a later turn, with
// all that came meanwhile (delivery.ts). So an emulator may call it from anywhere, also from inside `toGuest`, and a
// guest that sends without end starves nobody. Where the queue is full the frame is lost, as on a wire, and counted.
// To the guest: at the end of each turn `toGuest` is called for each frame, oldest first. Where it returns false it has
// not taken the frame: that one and all behind it wait for ready(), and the engine for them.
//
// `toGuest` is the embedder's code: what it throws becomes an error of the port, and the frame is lost.

import { assert } from '../base/assert.ts';
import { Loss } from '../base/drop.ts';
import { Region } from '../base/region.ts';
import { onRejection } from '../base/rejection.ts';
import { BYTES_PER_TURN, Delivery } from './delivery.ts';
import { PREFIX_LEN } from './framing.ts';
import type { Link, LinkHost, LinkLosses, LinkSink, ShowFrame } from './link.ts';
import { BATCH_LEN, TransmitQueue } from './transmit.ts';

const BATCHES = 2;
const POISON = 0xdb;

/** What a port is called, and who takes its frames. */
export interface FramePortOptions {
  readonly name: string;
  /** Bytes of the longest frame, Ethernet header included: 82..65535. */
  readonly maxFrame: number;
  /**
   * One Ethernet frame for the guest, without FCS, 60 bytes at least. Lent for the call: copy what is kept. Returns false
   * when it was not taken; it comes again after ready().
   */
  readonly toGuest: (frame: Uint8Array) => unknown;
  /** toGuest has thrown. */
  readonly onThrow: (error: unknown) => void;
  /** A frame from the guest is lost: there is no room for it, or it is longer than `maxFrame`. */
  readonly onLost: (why: Loss, length: number) => void;
  /** Bytes that were lent are spoiled after the call, so that whoever keeps a frame finds out at once. Slower. */
  readonly poison?: boolean | undefined;
}

export class FramePort implements Link {
  readonly name: string;
  readonly maxFrame: number;
  private readonly options: FramePortOptions;
  private attached: {
    readonly host: LinkHost;
    readonly fromGuest: TransmitQueue;
    readonly toGuest: TransmitQueue;
    readonly delivery: Delivery;
    readonly sink: LinkSink;
    /** Where a frame from the guest lies while it is queued. */
    readonly bytes: Uint8Array;
  } | null = null;
  private closed = false;
  private deliveryAsked = false;
  /** What of the oldest batch for the guest is still to be handed over. */
  private readonly batch = new Region();
  /** toGuest has said that it takes no more. */
  private waiting = false;
  private handing = false;
  /** ready() was called from inside of toGuest. */
  private readySaid = false;
  private refused = 0;
  /** Frames from the guest that were longer than `maxFrame`. */
  tooLong = 0;

  constructor(options: FramePortOptions) {
    this.options = options;
    this.name = options.name;
    this.maxFrame = options.maxFrame;
  }

  /** Frames for the guest that its emulator threw away by throwing. */
  get losses(): LinkLosses | undefined {
    return this.refused === 0 ? undefined : { whileDown: 0, refused: this.refused };
  }

  /**
   * One Ethernet frame from the guest, without FCS. Lent: copied before this returns. False when it is lost: it is longer
   * than `maxFrame`, there is no room, or the port is closed. Throws a TypeError where it is no Uint8Array.
   */
  fromGuest(frame: Uint8Array): boolean {
    if (!(frame instanceof Uint8Array)) throw new TypeError('fromGuest: a frame is a Uint8Array');
    const { attached } = this;
    if (attached === null || this.closed) return false;
    const { length } = frame;
    if (length > this.maxFrame) {
      this.tooLong++;
      this.options.onLost(Loss.PortFrameTooLong, length);
      return false;
    }
    const at = attached.fromGuest.reserve(length);
    if (at < 0) {
      this.options.onLost(Loss.PortQueueFull, length);
      return false;
    }
    attached.bytes.set(frame, at);
    attached.fromGuest.commit(length);
    this.askDelivery();
    return true;
  }

  /** After toGuest has returned false: it takes frames again. */
  ready(): void {
    this.readySaid = true;
    if (!this.waiting) return;
    this.waiting = false;
    const { attached } = this;
    if (attached !== null && !this.closed) attached.host.turn.wantFlush(this);
  }

  attach(sink: LinkSink, host: LinkHost): void {
    assert(this.attached === null, 'a link is attached once');
    if (this.closed) throw new Error(`link ${this.name}: is closed`);
    const { arena } = host;
    const fromGuest = new TransmitQueue(arena, BATCHES);
    let toGuest: TransmitQueue;
    try {
      toGuest = new TransmitQueue(arena, BATCHES);
    } catch (error) {
      fromGuest.free();
      throw error;
    }
    const parts = { queue: fromGuest, from: arena.memory, landing: -1, host, sink, onRoom: () => {} };
    const delivery = new Delivery(parts);
    this.attached = { host, fromGuest, toGuest, delivery, sink, bytes: arena.memory.bytes };
  }

  reserve(maxLen: number): number {
    return this.attached === null || this.closed ? -1 : this.attached.toGuest.reserve(maxLen);
  }

  commit(len: number): void {
    if (this.attached === null || this.closed) return;
    this.attached.toGuest.commit(len);
    this.attached.host.turn.wantFlush(this);
  }

  extend(len: number, count: number): number {
    return this.attached === null || this.closed ? 0 : this.attached.toGuest.extend(len, count);
  }

  send(off: number, len: number): boolean {
    if (this.attached === null || this.closed || !this.attached.toGuest.send(off, len)) return false;
    this.attached.host.turn.wantFlush(this);
    return true;
  }

  flush(): void {
    if (this.attached === null || this.closed || this.handing) return;
    const { toGuest } = this.attached;
    this.handing = true;
    let bytes = BYTES_PER_TURN;
    while (bytes > 0 && !this.waiting && !this.closed) {
      if (this.batch.len === 0 && !toGuest.next(this.batch)) break;
      const before = this.batch.len;
      const taken = this.handOver(bytes);
      bytes -= before - this.batch.len;
      if (!taken) break;
      if (this.batch.len === 0 && !this.closed && toGuest.release()) this.askWritable();
    }
    this.handing = false;
    if (this.closed) this.free();
    else if (!this.waiting && (this.batch.len > 0 || !toGuest.isEmpty)) this.flushSoon();
  }

  /** Also for the emulator: the guest is gone. */
  close(): Promise<void> {
    if (!this.closed) {
      this.closed = true;
      const { attached } = this;
      attached?.delivery.stop();
      // Where the network has unplugged it before, it does not hear of that twice.
      attached?.host.turn.run(() => attached.sink.onLinkDown('unplugged'));
      this.free();
    }
    return Promise.resolve();
  }

  recall(show: ShowFrame): void {
    if (this.attached === null) return;
    const { delivery, toGuest, host } = this.attached;
    delivery.recall(show);
    toGuest.recall((off, len) => show('to-guest', host.arena.memory, off, len));
  }

  /** Frames at the front of `batch`, some `bytes` bytes of them. False when one was not taken. */
  private handOver(bytes: number): boolean {
    const { host } = this.attached!;
    const { memory } = host.arena;
    const { batch } = this;
    const end = Math.max(0, batch.len - bytes);
    while (batch.len > end && !this.closed) {
      const len = memory.view.getUint32(batch.off);
      this.readySaid = false;
      if (!this.hand(memory.bytes.buffer as ArrayBuffer, batch.off + PREFIX_LEN, len)) {
        this.waiting = !this.readySaid;
        return false;
      }
      batch.off += PREFIX_LEN + len;
      batch.len -= PREFIX_LEN + len;
    }
    return true;
  }

  /** Lends one frame. False when it is not taken. A plain array also on Node, where slice() of a Buffer is no copy. */
  private hand(buffer: ArrayBuffer, off: number, len: number): boolean {
    const { poison, toGuest, onThrow } = this.options;
    const lent = new Uint8Array(buffer, off, len);
    const frame = poison === true ? new Uint8Array(lent) : lent;
    try {
      const taken: unknown = toGuest(frame);
      if (typeof taken === 'object') onRejection(taken, onThrow);
      return taken !== false;
    } catch (error) {
      this.refused++;
      onThrow(error);
      return true;
    } finally {
      if (poison === true) frame.fill(POISON);
    }
  }

  private askDelivery(): void {
    if (this.deliveryAsked || this.closed) return;
    this.deliveryAsked = true;
    this.attached!.host.clock.soon(this.deliverSoon);
  }

  private readonly deliverSoon = (): void => {
    this.deliveryAsked = false;
    if (!this.closed) this.attached!.host.turn.run(this.deliver);
  };

  private readonly deliver = (): void => {
    if (this.closed) return;
    const more = this.attached!.delivery.deliver();
    if (this.closed) this.free();
    else if (more) this.askDelivery();
  };

  private flushSoon(): void {
    const { clock, turn } = this.attached!.host;
    clock.soon(() => turn.wantFlush(this));
  }

  private askWritable(): void {
    // Links are being flushed, so this waits for a turn of its own.
    this.attached!.host.turn.run(this.tellWritable);
  }

  private readonly tellWritable = (): void => {
    if (!this.closed) this.attached!.sink.onLinkWritable();
  };

  /** Gives the queues back when nothing is being read from them. */
  private free(): void {
    const { attached } = this;
    if (attached === null || this.handing || attached.delivery.isRunning) return;
    this.attached = null;
    attached.fromGuest.free();
    attached.toGuest.free();
  }
}

/** A frame fits a batch with its prefix. */
export const MAX_PORT_FRAME = Math.min(65535, BATCH_LEN - PREFIX_LEN);
