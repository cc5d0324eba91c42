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
import { BYTES_PER_TURN, Delivery } from './delivery.ts';
import type { Link, LinkHost, LinkSink, ShowFrame } from './link.ts';
import { TransmitQueue } from './transmit.ts';

const BATCHES = 2;

/** Where frames from another arena are copied to: what one turn delivers. */
const LANDING_LEN = BYTES_PER_TURN;

/** The two ends of a cable in memory. */
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
  private writableAsked = false;
  /** Of what the other end sends; there once that has a queue. */
  private delivery: Delivery | null = null;
  private landing = -1;
  private readonly account = new Account();

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
      this.delivery?.stop();
      this.other.askReceive();
      this.free();
    }
    return Promise.resolve();
  }

  recall(show: ShowFrame): void {
    const { queue, host } = this;
    this.delivery?.recall(show);
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
    this.delivery ??= this.deliveryOf();
    const more = this.delivery?.deliver() ?? false;
    if (this.closed) this.free();
    else if (more) this.askReceive();
    else if (other.closed) this.goDown();
  };

  private deliveryOf(): Delivery | null {
    const { other, host, sink, landing } = this;
    if (other.queue === null || other.host === null || host === null || sink === null) return null;
    const onRoom = (): void => other.askWritable();
    return new Delivery({ queue: other.queue, from: other.host.arena.memory, landing, host, sink, onRoom });
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
    if (this.delivery?.isRunning === true || this.other.delivery?.isRunning === true) return;
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
