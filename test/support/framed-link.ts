// A guest's cable that brings and takes bytes in chunks with QEMU's framing, as a socket does: what comes goes through
// a Deframer into turns with a budget, what goes out is gathered in batches. A test says when a batch is taken.

import { Account } from '../../src/base/arena.ts';
import { Region } from '../../src/base/region.ts';
import { Budget } from '../../src/base/turn.ts';
import { Deframer, eachFrame, RECEIVE_BUFFER_LEN } from '../../src/link/framing.ts';
import type { Link, LinkHost, LinkSink } from '../../src/link/link.ts';
import { TransmitQueue } from '../../src/link/transmit.ts';

export interface FramedLinkOptions {
  readonly maxFrame?: number;
  /** Default true: it has extend(). */
  readonly extends?: boolean;
}

export class FramedLink implements Link {
  readonly name: string;
  readonly maxFrame: number;
  /** What the network has sent, as far as it was taken. */
  readonly frames: Buffer[] = [];
  readonly extend?: (len: number, count: number) => number;
  /** False: what is sent stays in the batches. */
  takes = true;
  /** Frames that extend() has made room for, and times it had less room than it was asked for. */
  extended = 0;
  fellShort = 0;
  private host: LinkHost | null = null;
  private sink: LinkSink | null = null;
  private queue: TransmitQueue | null = null;
  private deframer: Deframer | null = null;
  private readonly account = new Account();

  constructor(name: string, { maxFrame = 1514, extends: has = true }: FramedLinkOptions = {}) {
    this.name = name;
    this.maxFrame = maxFrame;
    if (!has) return;
    this.extend = (len, count) => {
      const fit = this.queue!.extend(len, count);
      this.extended += fit;
      if (fit < count) this.fellShort++;
      return fit;
    };
  }

  attach(sink: LinkSink, host: LinkHost): void {
    const { arena, turn } = host;
    this.host = host;
    this.sink = sink;
    this.queue = new TransmitQueue(arena, 2);
    const off = arena.take(RECEIVE_BUFFER_LEN, this.account);
    this.deframer = new Deframer(arena.memory, off, RECEIVE_BUFFER_LEN, sink, new Budget(turn));
  }

  /** The guest's bytes arrive; in one turn as far as its budget goes, the rest in the turns that follow. */
  receives(bytes: Uint8Array): void {
    this.receivesSome(bytes);
    this.goesOn();
  }

  /** The first of these turns; within one that runs, joins it. */
  receivesSome(bytes: Uint8Array): void {
    const { host, deframer } = this;
    if (bytes.length > deframer!.room) throw new Error(`${bytes.length} bytes at once are too many`);
    host!.turn.run(() => {
      host!.arena.memory.bytes.set(bytes, deframer!.readOff);
      deframer!.received(bytes.length);
    });
  }

  /** Up to `turns` of those that follow. False: there was nothing left for any. */
  goesOn(turns = Number.POSITIVE_INFINITY): boolean {
    const { host, deframer } = this;
    const some = deframer!.hasMore;
    for (let i = 0; i < turns && deframer!.hasMore; i++) host!.turn.run(() => deframer!.passOn());
    return some;
  }

  /** Who gets what comes, for a test that plays the link's part. */
  get input(): LinkSink {
    return this.sink!;
  }

  reserve(maxLen: number): number {
    return this.queue!.reserve(maxLen);
  }

  commit(len: number): void {
    this.queue!.commit(len);
    this.host!.turn.wantFlush(this);
  }

  send(off: number, len: number): boolean {
    if (!this.queue!.send(off, len)) return false;
    this.host!.turn.wantFlush(this);
    return true;
  }

  flush(): void {
    if (this.takes) this.takeAll();
  }

  /** Takes all that was sent; whoever was told that there is no room hears that there is. */
  takeAll(): void {
    const { queue, host } = this;
    const region = new Region();
    const { memory } = host!.arena;
    while (queue!.next(region)) {
      eachFrame(memory, region.off, region.off + region.len, (off, len) =>
        this.frames.push(Buffer.from(memory.bytes.subarray(off, off + len))),
      );
      if (queue!.release()) host!.clock.soon(() => host!.turn.run(() => this.sink!.onLinkWritable()));
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
