// A cable in memory. Both of its ends are links: one is attached to a network, the other to whoever plays the guest (an
// embedded guest, a test, another network). What one end sends, the other one's sink gets.
//
// Each end gathers frames in batches of its own arena (transmit.ts). flush() only asks the receiver's clock for a turn:
// delivery is always in a later turn, at most BYTES_PER_TURN bytes or what the link's budget has for one turn, the rest in
// the next, or a bulk transfer would run in one turn and starve the event loop. When both ends are in one arena, a frame is
// delivered where it lies in the sender's batch; otherwise as many bytes as one turn may deliver are copied across at
// once. A batch is free again when its last frame has been delivered, and a sender that was refused hears of it in a
// turn of its own.
//
// close() at one end: what had been flushed is still delivered, then the other end is down, and the arena has its
// blocks back.

import { Account } from '../base/arena.ts';
import { assert } from '../base/assert.ts';
import type { Memory } from '../base/memory.ts';
import { Region } from '../base/region.ts';
import { Budget } from '../base/turn.ts';
import { eachFrame, PREFIX_LEN } from './framing.ts';
import type { Link, LinkHost, LinkSink, ShowFrame } from './link.ts';
import { TransmitQueue } from './transmit.ts';

const BYTES_PER_TURN = 262144;
const BATCHES = 2;

/** Where frames from another arena are copied to: what one turn delivers. */
const LANDING_LEN = BYTES_PER_TURN;

export interface Pair {
  readonly link: Link;
  readonly peer: Link;
}

/**
 * Two ends of a new cable; `link` is called `name`, `peer` `name-peer`. `maxFrame`: 14..65553 bytes, Ethernet header
 * included. What is sent before the other end is attached waits for it.
 */
export function createPair(name: string, maxFrame: number): Pair {
  const link = new PairEnd(name, maxFrame);
  const peer = new PairEnd(`${name}-peer`, maxFrame);
  link.other = peer;
  peer.other = link;
  return { link, peer };
}

class PairEnd implements Link {
  readonly name: string;
  readonly maxFrame: number;
  /** The end this one is connected to. */
  other: PairEnd = this;
  private host: LinkHost | null = null;
  private sink: LinkSink | null = null;
  private queue: TransmitQueue | null = null;
  private closed = false;
  /** A turn for receive() has been asked for. */
  private receiveAsked = false;
  private receiving = false;
  private writableAsked = false;
  /** What of the other end's oldest batch is still to be delivered. */
  private readonly batch = new Region();
  /** Where that batch begins, and how far of it is offered just now. */
  private batchFrom = 0;
  private offeredTo = 0;
  private landing = -1;
  private budget: Budget | null = null;
  private readonly account = new Account();
  private readonly run = { at: 0, end: 0, most: 0 };

  constructor(name: string, maxFrame: number) {
    this.name = name;
    this.maxFrame = maxFrame;
  }

  attach(sink: LinkSink, host: LinkHost): void {
    assert(this.sink === null, 'a link is attached once');
    const queue = new TransmitQueue(host.arena, BATCHES);
    const peer = this.other.closed ? null : this.other.host;
    if (peer !== null && (!this.takeLanding(host, peer) || !this.other.takeLanding(peer, host))) {
      queue.free();
      this.giveLanding(host);
      throw new Error('the arena has no room for the receive buffer of another link');
    }
    this.sink = sink;
    this.host = host;
    this.queue = queue;
    this.budget = new Budget(host.turn);
    this.askReceive();
  }

  reserve(maxLen: number): number {
    return this.queue === null || this.closed ? -1 : this.queue.reserve(maxLen);
  }

  commit(len: number): void {
    if (this.queue === null || this.closed) return;
    this.queue.commit(len);
    this.host!.turn.wantFlush(this);
  }

  extend(len: number, count: number): number {
    return this.queue === null || this.closed ? 0 : this.queue.extend(len, count);
  }

  send(off: number, len: number): boolean {
    if (this.queue === null || this.closed || !this.queue.send(off, len)) return false;
    this.host!.turn.wantFlush(this);
    return true;
  }

  flush(): void {
    this.other.askReceive();
  }

  close(): Promise<void> {
    if (!this.closed) {
      this.closed = true;
      this.sink = null;
      this.other.askReceive();
      this.free();
    }
    return Promise.resolve();
  }

  recall(show: ShowFrame): void {
    const { batch, queue, host, other } = this;
    if (this.receiving && other.queue !== null && other.host !== null) {
      const { memory } = other.host.arena;
      const end = Math.max(batch.off, this.offeredTo);
      eachFrame(memory, this.batchFrom, end, (off, len) => show('from-guest', memory, off, len));
    }
    if (queue === null || host === null) return;
    queue.recall((off, len) => show('to-guest', host.arena.memory, off, len));
  }

  private askReceive(): void {
    if (this.receiveAsked || this.closed || this.host === null) return;
    this.receiveAsked = true;
    this.host.clock.soon(this.receiveSoon);
  }

  private readonly receiveSoon = (): void => {
    this.receiveAsked = false;
    if (!this.closed) this.host!.turn.run(this.receive);
  };

  private readonly receive = (): void => {
    const { other } = this;
    if (this.closed) return;
    this.receiving = true;
    this.budget!.begin();
    const more = other.queue !== null && this.deliver(other.queue);
    this.budget!.end();
    this.receiving = false;
    if (this.closed) this.free();
    else if (more) this.askReceive();
    else if (other.closed) this.goDown();
  };

  /** Delivers what one turn may deliver. True when there is more. */
  private deliver(queue: TransmitQueue): boolean {
    const { batch } = this;
    let bytes = BYTES_PER_TURN;
    while (bytes > 0 && this.budget!.left > 0) {
      if (batch.len === 0) {
        if (!queue.next(batch)) return false;
        this.batchFrom = batch.off;
      }
      const before = batch.len;
      this.deliverSome(bytes);
      bytes -= before - batch.len;
      if (this.closed) return false;
      if (batch.len === 0 && queue.release()) this.other.askWritable();
    }
    return batch.len > 0 || !queue.isEmpty;
  }

  /** Delivers about `bytes` bytes of `batch`, as far as the budget goes. */
  private deliverSome(bytes: number): void {
    const from = this.other.host!.arena.memory;
    const { memory } = this.host!.arena;
    const { batch } = this;
    let shift = 0;
    let span = Math.min(batch.len, bytes);
    if (this.landing >= 0) {
      span = spanOf(from, batch, bytes, this.budget!.left);
      memory.bytes.set(from.bytes.subarray(batch.off, batch.off + span), this.landing);
      shift = this.landing - batch.off;
    }
    const { len: before } = batch;
    const end = batch.off + shift + span;
    while (batch.len > 0 && before - batch.len < bytes && this.budget!.takeFrame()) {
      const len = from.view.getUint32(batch.off);
      const frame = batch.off + PREFIX_LEN;
      batch.off = frame + len;
      batch.len -= PREFIX_LEN + len;
      this.sink?.onFrame(frame + shift, len);
      if (this.closed) return;
      this.offerRest(shift, end);
    }
  }

  /** The frames behind, up to `end` in our own memory, `shift` from where they lie in the batch. */
  private offerRest(shift: number, end: number): void {
    const { batch, run } = this;
    if (this.sink?.onFrames === undefined || batch.off + shift >= end) return;
    run.at = batch.off + shift;
    run.end = end;
    run.most = Math.max(0, this.budget!.left);
    this.offeredTo = end - shift;
    this.sink.onFrames(run);
    this.offeredTo = 0;
    const taken = run.at - shift - batch.off;
    batch.off += taken;
    batch.len -= taken;
  }

  /** Tells the sink in a turn of its own that there is room again. */
  private askWritable(): void {
    if (this.writableAsked || this.closed) return;
    this.writableAsked = true;
    this.host!.clock.soon(this.writableSoon);
  }

  private readonly writableSoon = (): void => {
    this.writableAsked = false;
    if (!this.closed) this.host!.turn.run(this.tellWritable);
  };

  private readonly tellWritable = (): void => {
    this.sink?.onLinkWritable();
  };

  private goDown(): void {
    const { sink } = this;
    this.closed = true;
    this.sink = null;
    this.free();
    sink?.onLinkDown('the other end was closed');
  }

  /** Gives the blocks of an end back that is closed, when the other end will not read from them any more. */
  private free(): void {
    if (this.receiving || this.other.receiving) return;
    for (const end of [this, this.other]) {
      if (end.closed && (end.other.closed || end.other.host === null)) end.giveBack();
    }
  }

  private giveBack(): void {
    if (this.queue === null || this.host === null) return;
    this.queue.free();
    this.queue = null;
    this.giveLanding(this.host);
  }

  private takeLanding(host: LinkHost, from: LinkHost): boolean {
    if (host.arena === from.arena) return true;
    this.landing = host.arena.take(LANDING_LEN, this.account);
    return this.landing >= 0;
  }

  private giveLanding(host: LinkHost): void {
    if (this.landing >= 0) host.arena.give(this.landing, LANDING_LEN, this.account);
    this.landing = -1;
  }
}

/** The bytes of as many whole frames at the front of `batch` as deliverSome() delivers at most. */
function spanOf(from: Memory, batch: Region, bytes: number, most: number): number {
  let span = 0;
  for (let frames = 0; span < batch.len && span < bytes && frames < most; frames++) {
    span += PREFIX_LEN + from.view.getUint32(batch.off + span);
  }
  return span;
}
