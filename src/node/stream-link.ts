// What the links have in common whose frames come and go over a connection: QEMU's stream socket, a WebSocket.
//
// What the connection brings is taken apart in the link's receive buffer (link/framing.ts), in turns; what a turn does not
// get to waits there, and the connection is not read meanwhile. Frames for the guest are gathered in batches; flush()
// hands the oldest to the connection, one write at a time, so that their order holds. A batch is free when the kernel has
// taken all of it: at once, or when the connection says so.
//
// The link is down when its connection is closed. Only then are its blocks given back to the arena, because until then the
// system may still read from one of them.

import { Account } from '../base/arena.ts';
import { assert } from '../base/assert.ts';
import { Region } from '../base/region.ts';
import { Budget } from '../base/turn.ts';
import { Deframer, RECEIVE_BUFFER_LEN } from '../link/framing.ts';
import type { Link, LinkHost, LinkSink, ShowFrame } from '../link/link.ts';
import { TransmitQueue } from '../link/transmit.ts';
import type { QuickWriter } from './quick-write.ts';
import { threadSharing } from './thread-sharing.ts';

const BATCHES = 4;

/** What an attached link holds. */
interface Attached {
  readonly sink: LinkSink;
  readonly host: LinkHost;
  readonly queue: TransmitQueue;
  readonly deframer: Deframer;
  readonly receiveOff: number;
}

export abstract class StreamLink implements Link, QuickWriter {
  readonly name: string;
  abstract readonly maxFrame: number;
  protected attached: Attached | null = null;
  /** Why it is down or going down; null while it is up. */
  protected reason: string | null = null;
  /** The connection is closed. */
  protected isGone = false;
  /** A batch is with the connection. */
  protected writing = false;
  protected readonly batch = new Region();
  private tellGone: () => void = () => {};
  /** Resolves when the connection is closed and the sink, if there is one, has been told. */
  readonly gone = new Promise<void>((resolve) => {
    this.tellGone = resolve;
  });

  private readonly account = new Account();
  private received = 0;

  constructor(name: string) {
    this.name = name;
  }

  attach(sink: LinkSink, host: LinkHost): void {
    assert(this.attached === null, 'a link is attached once');
    const queue = new TransmitQueue(host.arena, BATCHES);
    const receiveOff = host.arena.take(RECEIVE_BUFFER_LEN, this.account);
    if (receiveOff < 0) {
      queue.free();
      throw new Error('the arena has no room for the receive buffer of another link');
    }
    const budget = new Budget(host.turn, threadSharing);
    const deframer = new Deframer(host.arena.memory, receiveOff, RECEIVE_BUFFER_LEN, sink, budget);
    this.attached = { sink, host, queue, deframer, receiveOff };
    if (this.isGone) host.clock.soon(this.finish);
    else this.beginReading();
  }

  reserve(maxLen: number): number {
    return this.attached === null || this.reason !== null ? -1 : this.attached.queue.reserve(maxLen);
  }

  extend(len: number, count: number): number {
    return this.attached === null || this.reason !== null ? 0 : this.attached.queue.extend(len, count);
  }

  commit(len: number): void {
    if (this.attached === null || this.reason !== null) return;
    this.attached.queue.commit(len);
    this.attached.host.turn.wantFlush(this);
  }

  send(off: number, len: number): boolean {
    if (this.attached === null || this.reason !== null || !this.attached.queue.send(off, len)) return false;
    this.attached.host.turn.wantFlush(this);
    return true;
  }

  flush(): void {
    if (this.attached === null || this.writing || this.reason !== null) return;
    const { queue, host } = this.attached;
    while (queue.next(this.batch)) {
      this.writing = !this.write(this.batch);
      if (this.writing) return;
      // Links are being flushed, so this waits for a turn of its own.
      if (queue.release()) host.turn.run(this.tellWritable);
    }
  }

  abstract close(): Promise<void>;

  recall(show: ShowFrame): void {
    if (this.attached === null || this.isGone) return;
    const { host, deframer, queue } = this.attached;
    deframer.recall((off, len) => show('from-guest', host.arena.memory, off, len));
    queue.recall((off, len) => show('to-guest', host.arena.memory, off, len));
  }

  /** The link has its buffers: from now on something may arrive. */
  protected abstract beginReading(): void;

  /** Hands a batch, prefixes included, to the connection. True when the system has all of it; else onWriteDone follows. */
  protected abstract write(batch: Region): boolean;

  /** A length beyond all limits: this is no stream of frames. */
  protected abstract failForLength(): void;

  /** `count` bytes have arrived at the deframer's `readOff`. */
  protected take(count: number): void {
    this.received = count;
    this.attached!.host.turn.run(this.takeReceived);
  }

  /** Passes on what the turns before have left. */
  protected takeOn(): void {
    this.attached!.host.turn.run(this.takeRest);
  }

  onWriteDone(error?: Error | null): void {
    if (!error && this.reason === null) this.attached!.host.turn.run(this.takeWritten);
  }

  /** The connection is closed, if not for another reason before then for this one. */
  protected connectionClosed(reason: string): void {
    this.reason ??= reason;
    this.isGone = true;
    if (this.attached !== null) this.finish();
    this.tellGone();
  }

  private readonly takeReceived = (): void => {
    if (this.reason === null && !this.attached!.deframer.received(this.received)) this.failForLength();
  };

  private readonly takeRest = (): void => {
    if (!this.attached!.deframer.passOn()) this.failForLength();
  };

  private readonly takeWritten = (): void => {
    const { queue, sink, host } = this.attached!;
    this.writing = false;
    if (queue.release() && this.reason === null) sink.onLinkWritable();
    host.turn.wantFlush(this);
  };

  private readonly tellWritable = (): void => {
    if (this.reason === null) this.attached!.sink.onLinkWritable();
  };

  /** Nothing reads or writes the link's blocks any more. */
  private readonly finish = (): void => {
    const { host, queue, receiveOff } = this.attached!;
    queue.free();
    host.arena.give(receiveOff, RECEIVE_BUFFER_LEN, this.account);
    // Where the network has unplugged it before, it does not hear of that twice.
    host.turn.run(this.tellDown);
  };

  private readonly tellDown = (): void => {
    this.attached!.sink.onLinkDown(this.reason ?? '');
  };
}
