// One guest on QEMU's `-netdev stream` or `-netdev socket`: a unix or TCP connection with a length before each frame.
//
// The socket reads into the link's receive buffer in the arena, and frames are passed on where they lie. What a turn does
// not get to waits there, and the socket is not read until it has been passed on in turns of its own. Frames for the
// guest are gathered in batches; flush() hands the oldest to the socket, one write at a time, so that their order
// holds. A batch is free when the kernel has taken all of it: at once, or at the write's callback.
//
// The link is down when its socket is closed. Only then are its blocks given back to the arena, because until then the
// system may still read from one of them.

import type { Socket } from 'node:net';
import { Account } from '../base/arena.ts';
import { assert } from '../base/assert.ts';
import { Region } from '../base/region.ts';
import { Budget } from '../base/turn.ts';
import { Deframer, MAX_STREAM_FRAME, RECEIVE_BUFFER_LEN } from '../link/framing.ts';
import type { Link, LinkHost, LinkSink, ShowFrame } from '../link/link.ts';
import { TransmitQueue } from '../link/transmit.ts';
import { arenaView } from './arena-view.ts';
import { writeQuickly } from './quick-write.ts';
import { takeOver } from './take-over.ts';
import { threadSharing } from './thread-sharing.ts';

/** The longest IP packet, an Ethernet header and a VLAN tag. */
const MAX_FRAME = 65535 + 14 + 4;
const BATCHES = 4;

/** What an attached link holds. */
interface Attached {
  readonly sink: LinkSink;
  readonly host: LinkHost;
  readonly queue: TransmitQueue;
  readonly deframer: Deframer;
  readonly receiveOff: number;
}

export class QemuStreamLink implements Link {
  readonly name: string;
  readonly maxFrame = MAX_FRAME;
  /** Called once, when the socket is closed and the sink, if there is one, has been told. */
  private readonly onGone: () => void;
  private socket: Socket;
  private readonly canTakeOver: boolean;
  private attached: Attached | null = null;
  /** Why it is down or going down; null while it is up. */
  private reason: string | null = null;
  /** close() was called: the sink is told nothing more. */
  private closedByUs = false;
  private gone = false;
  private tellGone: () => void = () => {};
  private readonly whenGone = new Promise<void>((resolve) => {
    this.tellGone = resolve;
  });

  private received = 0;
  private place: Buffer | null = null;
  private placeOff = -1;
  /** The rest of a 'data' chunk; only without takeOver(). */
  private chunk: Buffer | null = null;
  private readonly account = new Account();
  private readonly batch = new Region();
  private writing = false;

  /** `socket` is connected and paused, and has not read a byte. It is the link's from here on. */
  constructor(name: string, socket: Socket, canTakeOver: boolean, onGone: () => void) {
    this.name = name;
    this.socket = socket;
    this.canTakeOver = canTakeOver;
    this.onGone = onGone;
    this.listen();
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
    this.startReading();
    if (this.gone) host.clock.soon(this.finish);
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
      const { off, len } = this.batch;
      const batch = arenaView(host.arena.memory, off, len);
      this.writing = !writeQuickly(this.socket, batch, this.onWriteDone);
      if (this.writing) return;
      // Links are being flushed, so this waits for a turn of its own.
      if (queue.release()) host.turn.run(this.tellWritable);
    }
  }

  close(): Promise<void> {
    this.closedByUs = true;
    this.fail('closed');
    return this.whenGone;
  }

  recall(show: ShowFrame): void {
    if (this.attached === null || this.gone) return;
    const { host, deframer, queue } = this.attached;
    deframer.recall((off, len) => show('from-guest', host.arena.memory, off, len));
    queue.recall((off, len) => show('to-guest', host.arena.memory, off, len));
  }

  /** Moves the connection to a socket that reads into the receive buffer, and starts it. */
  private startReading(): void {
    if (this.gone) return;
    const own = this.canTakeOver
      ? takeOver(this.unlisten(), { buffer: this.nextPlace, callback: this.onBytes })
      : this.unlisten();
    if (own !== null) this.socket = own;
    this.listen();
    if (!this.canTakeOver) this.socket.on('data', this.onChunk);
    // Without a connection the socket that it had is closing, and says so.
    if (own === null) this.socket.destroy();
    else this.socket.resume();
  }

  private listen(): void {
    this.socket.on('end', this.onEnd);
    this.socket.on('error', this.onError);
    this.socket.on('close', this.onClose);
  }

  private unlisten(): Socket {
    this.socket.off('end', this.onEnd);
    this.socket.off('close', this.onClose);
    return this.socket;
  }

  private fail(reason: string): void {
    if (this.reason !== null) return;
    this.reason = reason;
    this.attached?.deframer.stop();
    this.socket.destroy();
  }

  /** Asked for right after each read, and after the last one too: the buffer is the link's until 'close'. */
  private readonly nextPlace = (): Buffer => {
    const { host, deframer } = this.attached!;
    const { readOff, room } = deframer;
    // Mostly the same one: a view costs more than asking.
    if (this.place === null || this.placeOff !== readOff) {
      this.place = arenaView(host.arena.memory, readOff, room);
      this.placeOff = readOff;
    }
    return this.place;
  };

  private readonly onBytes = (count: number): boolean => {
    this.received = count;
    this.attached!.host.turn.run(this.takeReceived);
    if (this.attached!.deframer.hasMore) this.goOnSoon();
    return this.reason === null && !this.attached!.deframer.hasMore;
  };

  private readonly takeReceived = (): void => {
    if (this.reason === null && !this.attached!.deframer.received(this.received)) this.failForLength();
  };

  private goOnSoon(): void {
    this.attached!.host.clock.soon(this.goOn);
  }

  private readonly goOn = (): void => {
    const { host, deframer } = this.attached!;
    if (this.reason !== null) return;
    host.turn.run(this.takeRest);
    if (deframer.hasMore) this.goOnSoon();
    else if (this.chunk !== null) this.takeChunk();
    else if (!this.gone) this.socket.resume();
  };

  private readonly takeRest = (): void => {
    if (!this.attached!.deframer.passOn()) this.failForLength();
  };

  private failForLength(): void {
    this.fail(`a frame of more than ${MAX_STREAM_FRAME} bytes: the other side does not speak QEMU's stream`);
  }

  /** Without takeOver(). */
  private readonly onChunk = (chunk: Buffer): void => {
    this.chunk = chunk;
    this.takeChunk();
  };

  /** The chunk is copied to where it would have been read to, as much of it as can be passed on. */
  private takeChunk(): void {
    let goesOn = true;
    while (goesOn && this.chunk !== null) {
      const place = this.nextPlace();
      const count = this.chunk.copy(place, 0, 0, Math.min(this.chunk.length, place.length));
      this.chunk = count < this.chunk.length ? this.chunk.subarray(count) : null;
      goesOn = this.onBytes(count);
    }
    if (this.reason !== null) this.chunk = null;
    else if (goesOn) this.socket.resume();
    else this.socket.pause();
  }

  private readonly onWriteDone = (error?: Error | null): void => {
    if (!error && this.reason === null) this.attached!.host.turn.run(this.takeWritten);
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

  private readonly onEnd = (): void => {
    this.fail('the other side closed the connection');
  };

  private readonly onError = (error: Error): void => {
    this.fail(error.message);
  };

  private readonly onClose = (): void => {
    this.reason ??= 'the connection was closed';
    this.gone = true;
    if (this.attached !== null) this.finish();
    this.tellGone();
    this.onGone();
  };

  /** The socket is closed: nothing reads or writes the link's blocks any more. */
  private readonly finish = (): void => {
    const { host, queue, receiveOff } = this.attached!;
    queue.free();
    host.arena.give(receiveOff, RECEIVE_BUFFER_LEN, this.account);
    if (!this.closedByUs) host.turn.run(this.tellDown);
  };

  private readonly tellDown = (): void => {
    this.attached!.sink.onLinkDown(this.reason ?? '');
  };
}
