// One guest on a WebSocket: an emulator in a browser, as a rule. Two formats are spoken. `frame`: a binary message is an
// Ethernet frame (v86's wsproxy, jor1k, JSLinux). `length-prefixed`: the messages are pieces of a stream with QEMU's
// framing, whatever their borders are (container2wasm, QEMU in a browser).
//
// `ws` makes messages of what the socket reads, all that one read has completed in one go; each is copied to the link's
// receive buffer in the arena with a length before it, and when `ws` is done with the read, what has gathered is taken
// apart in a turn, as if QEMU had sent it (node/qemu-stream.ts). What the turn does not get to waits there, and the
// socket is not read meanwhile. One read and the message it has ended always fit.
//
// Frames for the guest are gathered in batches with QEMU's length before each. Where a message is a frame, those four
// bytes become the header of a WebSocket message when the batch is sent, so that it goes out as it lies in the arena, in
// one write. That is past `ws`, which adds nothing but control frames, each whole and in one write too. At most four
// batches wait; then reserve() says no until the socket has taken one.

import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { Account } from '../base/arena.ts';
import { assert } from '../base/assert.ts';
import { Region } from '../base/region.ts';
import { Budget } from '../base/turn.ts';
import { Deframer, MAX_STREAM_FRAME, PREFIX_LEN, RECEIVE_BUFFER_LEN } from '../link/framing.ts';
import type { Link, LinkHost, LinkSink, ShowFrame } from '../link/link.ts';
import { BATCH_LEN, TransmitQueue } from '../link/transmit.ts';
import { arenaView } from './arena-view.ts';
import { writeQuickly } from './quick-write.ts';
import { threadSharing } from './thread-sharing.ts';
import { eachMessage, framesToMessages, streamHeader } from './websocket-wire.ts';

export type WebSocketFormat = 'frame' | 'length-prefixed';

const BATCHES = 4;
/** A text is not answered while so many bytes wait for the socket. */
const ANSWER_LIMIT = BATCH_LEN + 16384;

/** RFC 6455 7.4.1. */
const GOING_AWAY = 1001;
const POLICY_VIOLATION = 1008;

/** What an attached link holds. */
interface Attached {
  readonly sink: LinkSink;
  readonly host: LinkHost;
  readonly queue: TransmitQueue;
  readonly deframer: Deframer;
  readonly receiveOff: number;
}

/** Text messages since the link was opened. */
export interface TextCounters {
  /** `ping:x`, answered with `pong:x`. */
  answered: number;
  /** Anything else, or a ping while the client does not read what it is sent. */
  ignored: number;
}

export class WebSocketLink implements Link {
  readonly name: string;
  readonly maxFrame: number;
  readonly texts: TextCounters = { answered: 0, ignored: 0 };
  private readonly ws: WebSocket;
  private readonly socket: Socket;
  private readonly format: WebSocketFormat;
  private attached: Attached | null = null;
  /** Why it is down or going down; null while it is up. */
  private reason: string | null = null;
  /** close() was called: the sink is told nothing more. */
  private closedByUs = false;
  private isGone = false;
  private tellGone: () => void = () => {};
  /** Resolves when the connection is closed and the sink, if there is one, has been told. */
  readonly gone = new Promise<void>((resolve) => {
    this.tellGone = resolve;
  });

  /** Bytes behind the deframer's `readOff` that it has not been told of. */
  private gathered = 0;
  private readonly account = new Account();
  private readonly batch = new Region();
  private writing = false;

  /** `ws` is open, on `socket`, and has emitted nothing yet; both are the link's from here on. `maxFrame` to 65535. */
  constructor(name: string, ws: WebSocket, socket: Socket, format: WebSocketFormat, maxFrame: number) {
    assert(maxFrame <= 0xffff, 'a frame has a length of 16 bits');
    this.name = name;
    this.ws = ws;
    this.socket = socket;
    this.format = format;
    this.maxFrame = maxFrame;
    // So that nothing is read before the link has its buffers.
    ws.pause();
    ws.on('message', this.onMessage);
    ws.on('error', this.onError);
    ws.on('close', this.onClose);
    socket.on('data', this.onReadDone);
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
    else this.ws.resume();
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

  close(): Promise<void> {
    this.closedByUs = true;
    this.fail('closed', GOING_AWAY);
    this.ws.terminate();
    return this.gone;
  }

  recall(show: ShowFrame): void {
    if (this.attached === null || this.isGone) return;
    const { host, deframer, queue } = this.attached;
    const { memory } = host.arena;
    deframer.recall((off, len) => show('from-guest', memory, off, len));
    const { off, len } = this.batch;
    // The lengths in this batch are none any more, so that the queue finds no frames there.
    if (this.writing && this.format === 'frame')
      eachMessage(memory, off, off + len, (at, count) => show('to-guest', memory, at, count));
    queue.recall((at, count) => show('to-guest', memory, at, count));
  }

  /** True when the system has all of the batch. */
  private write({ off, len }: Region): boolean {
    const { memory } = this.attached!.host.arena;
    const bytes = arenaView(memory, off, len);
    if (this.format === 'frame') {
      framesToMessages(memory, off, off + len);
      return writeQuickly(this.socket, bytes, this.onWriteDone);
    }
    this.socket.cork();
    this.socket.write(streamHeader(len));
    this.socket.write(bytes);
    this.socket.uncork();
    return this.socket.writableLength === 0 || writeQuickly(this.socket, NOTHING, this.onWriteDone);
  }

  /** `code`: what the client is told, as far as it still listens. */
  private fail(reason: string, code: number): void {
    if (this.reason !== null) return;
    this.reason = reason;
    this.attached?.deframer.stop();
    // Ends by itself: with the client's answer, or when that has not come in time.
    this.ws.close(code);
    this.ws.resume();
  }

  private readonly onMessage = (data: unknown, isBinary: boolean): void => {
    if (this.reason !== null || this.attached === null) return;
    // `ws` was asked for nothing else than Buffers.
    if (isBinary) this.gather(data as Buffer);
    else this.answer(data as Buffer);
  };

  private gather(message: Buffer): void {
    const { host, deframer } = this.attached!;
    const prefix = this.format === 'frame' ? PREFIX_LEN : 0;
    const at = deframer.readOff + this.gathered;
    if (this.gathered + prefix + message.length > deframer.room) {
      this.fail('more than the receive buffer holds came at once', POLICY_VIOLATION);
      return;
    }
    if (prefix > 0) host.arena.memory.view.setUint32(at, message.length);
    host.arena.memory.bytes.set(message, at + prefix);
    this.gathered += prefix + message.length;
  }

  private answer(text: Buffer): void {
    if (text.toString('latin1', 0, 5) !== 'ping:' || this.socket.writableLength > ANSWER_LIMIT) {
      this.texts.ignored++;
      return;
    }
    this.texts.answered++;
    this.ws.send(Buffer.concat([PONG, text.subarray(5)]), { binary: false });
  }

  /** `ws` has taken apart what the socket has read. */
  private readonly onReadDone = (): void => {
    if (this.gathered > 0 && !this.attached!.deframer.hasMore) this.takeGathered();
  };

  private takeGathered(): void {
    const { host, deframer } = this.attached!;
    host.turn.run(this.takeReceived);
    if (!deframer.hasMore) return;
    this.ws.pause();
    host.clock.soon(this.goOn);
  }

  private readonly takeReceived = (): void => {
    const count = this.gathered;
    this.gathered = 0;
    if (this.reason === null && !this.attached!.deframer.received(count)) this.failForLength();
  };

  private readonly goOn = (): void => {
    if (this.reason !== null) return;
    const { host, deframer } = this.attached!;
    host.turn.run(this.takeRest);
    if (deframer.hasMore) host.clock.soon(this.goOn);
    else {
      if (this.gathered > 0) this.takeGathered();
      if (!deframer.hasMore) this.ws.resume();
    }
  };

  private readonly takeRest = (): void => {
    if (!this.attached!.deframer.passOn()) this.failForLength();
  };

  private failForLength(): void {
    const reason = `a frame of more than ${MAX_STREAM_FRAME} bytes: the client does not speak QEMU's stream`;
    this.fail(reason, POLICY_VIOLATION);
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

  private readonly onError = (error: Error & { code?: string }): void => {
    const isTooLong = error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
    // `ws` has said so to the client already.
    this.fail(isTooLong ? 'a message longer than a frame can be' : error.message, POLICY_VIOLATION);
  };

  /** The socket is closed by now, too. */
  private readonly onClose = (code: number): void => {
    this.reason ??= code === 1006 ? 'the connection was lost' : 'the client closed the connection';
    this.isGone = true;
    if (this.attached !== null) this.finish();
    this.tellGone();
  };

  /** Nothing reads or writes the link's blocks any more. */
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

const NOTHING = Buffer.alloc(0);
const PONG = Buffer.from('pong:');
