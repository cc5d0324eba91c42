// One guest on a WebSocket: an emulator in a browser, as a rule. Two formats are spoken. `frame`: a binary message is an
// Ethernet frame (v86's wsproxy, jor1k, JSLinux). `length-prefixed`: the messages are pieces of a stream with QEMU's
// framing, whatever their borders are (container2wasm, QEMU in a browser).
//
// `ws` makes messages of what the socket reads, all that one read has completed in one go; each is copied to the link's
// receive buffer in the arena with a length before it, and when `ws` is done with the read, what has gathered is taken
// apart in a turn, as if QEMU had sent it (stream-link.ts). What the turn does not get to waits there, and the
// socket is not read meanwhile. One read and the message it has ended always fit.
//
// Frames for the guest are gathered in batches with QEMU's length before each. Where a message is a frame, those four
// bytes become the header of a WebSocket message when the batch is sent, so that it goes out as it lies in the arena, in
// one write. That is past `ws`, which adds nothing but control frames, each whole and in one write too. At most four
// batches wait; then reserve() says no until the socket has taken one.

import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { assert } from '../base/assert.ts';
import type { Region } from '../base/region.ts';
import { MAX_STREAM_FRAME, PREFIX_LEN } from '../link/framing.ts';
import type { ShowFrame } from '../link/link.ts';
import { BATCH_LEN } from '../link/transmit.ts';
import { arenaView } from './arena-view.ts';
import { writeQuickly } from './quick-write.ts';
import { StreamLink } from './stream-link.ts';
import type { WebSocketFormat } from './websocket-spec.ts';
import { eachMessage, framesToMessages, streamHeader } from './websocket-wire.ts';

/** A text is not answered while so many bytes wait for the socket. */
const ANSWER_LIMIT = BATCH_LEN + 16384;

/** RFC 6455 7.4.1. */
const GOING_AWAY = 1001;
const POLICY_VIOLATION = 1008;

/** Text messages since the link was opened. */
export interface TextCounters {
  /** `ping:x`, answered with `pong:x`. */
  answered: number;
  /** Anything else, or a ping while the client does not read what it is sent. */
  ignored: number;
}

export class WebSocketLink extends StreamLink {
  readonly maxFrame: number;
  readonly texts: TextCounters = { answered: 0, ignored: 0 };
  private readonly ws: WebSocket;
  private readonly socket: Socket;
  private readonly format: WebSocketFormat;
  /** Bytes behind the deframer's `readOff` that it has not been told of. */
  private gathered = 0;

  /** `ws` is open, on `socket`, and has emitted nothing yet; both are the link's from here on. `maxFrame` to 65535. */
  constructor(name: string, ws: WebSocket, socket: Socket, format: WebSocketFormat, maxFrame: number) {
    super(name);
    assert(maxFrame <= 0xffff, 'a frame has a length of 16 bits');
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

  close(): Promise<void> {
    this.fail('closed', GOING_AWAY);
    this.ws.terminate();
    return this.gone;
  }

  override recall(show: ShowFrame): void {
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

  protected beginReading(): void {
    this.ws.resume();
  }

  protected write({ off, len }: Region): boolean {
    const { memory } = this.attached!.host.arena;
    const bytes = arenaView(memory, off, len);
    if (this.format === 'frame') {
      framesToMessages(memory, off, off + len);
      return writeQuickly(this.socket, bytes, this);
    }
    this.socket.cork();
    this.socket.write(streamHeader(len));
    this.socket.write(bytes);
    this.socket.uncork();
    return this.socket.writableLength === 0 || writeQuickly(this.socket, NOTHING, this);
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
    const count = this.gathered;
    this.gathered = 0;
    this.take(count);
    if (!deframer.hasMore) return;
    this.ws.pause();
    host.clock.soon(this.goOn);
  }

  private readonly goOn = (): void => {
    if (this.reason !== null) return;
    const { host, deframer } = this.attached!;
    this.takeOn();
    if (deframer.hasMore) host.clock.soon(this.goOn);
    else {
      if (this.gathered > 0) this.takeGathered();
      if (!deframer.hasMore) this.ws.resume();
    }
  };

  protected failForLength(): void {
    const reason = `a frame of more than ${MAX_STREAM_FRAME} bytes: the client does not speak QEMU's stream`;
    this.fail(reason, POLICY_VIOLATION);
  }

  private readonly onError = (error: Error & { code?: string }): void => {
    const isTooLong = error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
    // `ws` has said so to the client already.
    this.fail(isTooLong ? 'a message longer than a frame can be' : error.message, POLICY_VIOLATION);
  };

  /** The socket is closed by now, too. */
  private readonly onClose = (code: number): void => {
    this.connectionClosed(code === 1006 ? 'the connection was lost' : 'the client closed the connection');
  };
}

const NOTHING = Buffer.alloc(0);
const PONG = Buffer.from('pong:');
