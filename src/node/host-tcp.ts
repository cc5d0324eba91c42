// One TCP connection of the host, over a net.Socket that reads straight into the arena and is written straight from it.
//
// Reading. Node asks nextPlace() where to read to: once when the socket gets its handle, then right after each callback,
// not before each read. So a place that was handed out is in use until a read lands in it, also over a pause. A flow
// that has no place of its own (connecting, idle, its ring full) sits on the pad, one block shared by all flows of the
// network: libuv reads and calls back in one go, so what lands there is consumed before anyone else can read. Sockets
// start paused, and Node keeps asking for places after a reset() too.
//
// Writing. libuv tries to write at once; `writableLength` is 0 right after write() when it took everything, and then
// the region is free. Otherwise it is in use until the write's callback, or until 'close' when the socket dies first.
//
// Reset or FIN. A RST right behind data often reaches Node as a plain 'end', so the kernel is asked (ask-kernel.ts). A paused
// socket learns of neither. Our own reset after our FIN is a close(2), see reset-socket.ts: a RST would take with it what
// the remote has not received yet.
//
// Keep-alive. The guest cannot tell whether the remote is there: its own probes are answered here.

import type { OnReadOpts, SocketConstructorOpts } from 'node:net';
import { Socket } from 'node:net';
import type { Endpoint } from '../base/addr.ts';
import { formatIp, isIpv4 } from '../base/addr.ts';
import { assert } from '../base/assert.ts';
import type { Ms } from '../base/clock.ts';
import { Region } from '../base/region.ts';
import type { HostContext, HostError, HostStream, HostStreamEvents } from '../host/host-network.ts';
import { arenaView } from './arena-view.ts';
import { hasMetItself, wasReset } from './ask-kernel.ts';
import { toHostError } from './host-errors.ts';
import type { OpenSockets } from './open-sockets.ts';
import { QUICK_WRITES, type QuickWriter, writeQuickly } from './quick-write.ts';
import { resetSocket } from './reset-socket.ts';
import { takeOver } from './take-over.ts';

/** Bytes of the landing pad: what libuv reads at most at once where a ring has no room. */
export const PAD_LEN = 65536;

/** What the streams of one NodeHost have in common. */
export interface TcpShared {
  readonly context: HostContext;
  /** Where the pad lies, and a view of it. */
  readonly padOff: number;
  readonly pad: Buffer;
  readonly streams: OpenSockets<TcpStream>;
}

/** What stands for a socket that an accepted connection has before anyone listens to it. */
const NOBODY: HostStreamEvents = {
  onOpen: () => {},
  reserveRead: () => {},
  onRead: () => false,
  onWritten: () => {},
  onEnd: () => {},
  onClose: () => {},
};

/** Where a socket knows its stream. */
const STREAM = Symbol('stream');

/** A socket of ours. There are thousands, so their listeners are functions that all share, not closures of each. */
interface StreamSocket extends Socket {
  [STREAM]: TcpStream;
}

/** Silence of the remote before it is asked whether it is there; towards the guest tcp/timers.ts has the same. */
const KEEPALIVE_IDLE: Ms = 7_200_000;
const KEEPALIVE_HALF_CLOSED: Ms = 75_000;

const region = new Region();

export class TcpStream implements HostStream, QuickWriter {
  private readonly shared: TcpShared;
  private events: HostStreamEvents;
  private socket!: Socket;
  private error: HostError | null = null;
  /** After reset(): only onClose follows. */
  private silenced = false;
  private ended = false;

  private stopped = true;
  private inRead = false;
  private place: Buffer;
  private placeOff: number;
  private firstPlace = true;
  private readOff = 0;
  private readLen = 0;
  /** The rest of a 'data' chunk that nobody wanted yet; only without takeOver(). */
  private chunk: Buffer | null = null;
  private endAfterChunk = false;

  private writing = false;

  private constructor(shared: TcpShared, events: HostStreamEvents) {
    this.shared = shared;
    this.events = events;
    this.place = shared.pad;
    this.placeOff = shared.padOff;
  }

  /** Starts connecting. The caller has reserved a descriptor. */
  static connect(shared: TcpShared, to: Endpoint, events: HostStreamEvents): TcpStream {
    const stream = new TcpStream(shared, events);
    const socket = new Socket({
      ...QUICK_WRITES,
      allowHalfOpen: true,
      onread: stream.reader(),
    } as SocketConstructorOpts);
    stream.adopt(socket);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEPALIVE_IDLE);
    socket.pause();
    socket.on('connect', onConnect);
    // A literal address: no lookup, and no second attempt with another family.
    const family = isIpv4(to.addr) ? 4 : 6;
    socket.connect({ host: formatIp(to.addr), port: to.port, family, autoSelectFamily: false });
    return stream;
  }

  /**
   * A stream over what a server accepted, paused, not a byte read; listen() follows. null when it is gone already. The
   * caller has reserved a descriptor.
   */
  static accepted(shared: TcpShared, socket: Socket, canTakeOver: boolean): TcpStream | null {
    const stream = new TcpStream(shared, NOBODY);
    const own = canTakeOver ? takeOver(socket, stream.reader()) : socket;
    if (own === null) return null;
    stream.adopt(own);
    own.setKeepAlive(true, KEEPALIVE_IDLE);
    if (!canTakeOver) own.on('data', onChunk);
    return stream;
  }

  /** Who listens to an accepted stream from now on. */
  listen(events: HostStreamEvents): void {
    this.events = events;
  }

  write(off: number, len: number): boolean {
    assert(!this.writing, 'one write at a time');
    const view = arenaView(this.shared.context.arena.memory, off, len);
    const isDone = writeQuickly(this.socket, view, this);
    this.writing = !isDone;
    return isDone;
  }

  onWriteDone(error?: Error | null): void {
    // A write that failed ends the stream: its region stays in use until onClose.
    if (!error && !this.socket.destroyed) this.shared.context.turn.run(TcpStream.tellWritten, this);
  }

  end(): void {
    this.socket.end();
    this.socket.setKeepAlive(true, KEEPALIVE_HALF_CLOSED);
  }

  reset(): void {
    if (this.silenced) return;
    this.silenced = true;
    this.error = null;
    resetSocket(this.socket);
  }

  resume(): void {
    if (!this.stopped) return;
    this.stopped = false;
    if (this.chunk !== null) this.shared.context.clock.soon(() => this.takeChunk());
    else if (!this.inRead) this.socket.resume();
  }

  pause(): void {
    if (this.stopped) return;
    this.stopped = true;
    if (!this.inRead) this.socket.pause();
  }

  private adopt(socket: Socket): void {
    const own = socket as StreamSocket;
    own[STREAM] = this;
    this.socket = own;
    this.shared.streams.add(this);
    own.on('end', onEof);
    own.on('error', onFailed);
    own.on('close', onGone);
  }

  /** Node calls these two without the socket. */
  private reader(): OnReadOpts {
    return { buffer: () => this.nextPlace(), callback: (count) => this.takeBytes(count) };
  }

  private nextPlace(): Buffer {
    const { shared } = this;
    region.len = 0;
    // The first place is asked for from inside connectTcp() and before listen(): nobody is ready to be asked.
    if (this.firstPlace) this.firstPlace = false;
    else if (!this.silenced) this.events.reserveRead(region);
    if (region.len === 0) {
      this.place = shared.pad;
      this.placeOff = shared.padOff;
    } else if (region.off !== this.placeOff || region.len !== this.place.length) {
      this.place = arenaView(shared.context.arena.memory, region.off, region.len);
      this.placeOff = region.off;
    }
    return this.place;
  }

  private takeBytes(count: number): boolean {
    this.readOff = this.placeOff;
    this.readLen = count;
    this.inRead = true;
    this.shared.context.turn.run(TcpStream.tellRead, this);
    this.inRead = false;
    return !this.stopped;
  }

  /** What `onread` does, by hand: the chunk is copied to where the next reads should land, piece by piece. */
  private takeChunk(): void {
    while (this.chunk !== null && !this.silenced && !this.stopped) {
      const piece: Buffer = this.chunk.subarray(0, this.place.length);
      this.chunk = piece.length < this.chunk.length ? this.chunk.subarray(piece.length) : null;
      piece.copy(this.place);
      this.takeBytes(piece.length);
      this.nextPlace();
    }
    if (this.stopped) this.socket.pause();
    else this.socket.resume();
    if (this.endAfterChunk && this.chunk === null) this.takeEof();
  }

  // What the socket's listeners call.

  connected(): void {
    if (hasMetItself(this.socket)) {
      // Nobody listens there: our own SYN, from the port that the kernel gave us by chance, has met itself.
      this.error ??= 'refused';
      this.socket.destroy();
    } else this.shared.context.turn.run(TcpStream.tellOpen, this);
  }

  takeNewChunk(chunk: Buffer): void {
    this.chunk = chunk;
    this.takeChunk();
  }

  takeEof(): void {
    this.endAfterChunk = this.chunk !== null;
    if (this.endAfterChunk) return;
    if (wasReset(this.socket)) {
      if (!this.silenced) this.error ??= 'reset';
      this.socket.destroy();
    } else this.shared.context.turn.run(TcpStream.tellEnd, this);
  }

  noteError(error: Error): void {
    if (!this.silenced) this.error ??= toHostError(error);
  }

  gone(): void {
    this.shared.streams.gone(this);
    this.shared.context.turn.run(TcpStream.tellClose, this);
  }

  // In a turn.

  private static tellOpen(stream: TcpStream): void {
    if (!stream.silenced) stream.events.onOpen();
  }

  private static tellRead(stream: TcpStream): void {
    if (stream.silenced) return;
    if (!stream.events.onRead(stream.readOff, stream.readLen)) stream.stopped = true;
  }

  private static tellWritten(stream: TcpStream): void {
    stream.writing = false;
    if (!stream.silenced) stream.events.onWritten();
  }

  private static tellEnd(stream: TcpStream): void {
    if (stream.silenced || stream.ended) return;
    stream.ended = true;
    stream.events.onEnd();
  }

  private static tellClose(stream: TcpStream): void {
    stream.silenced = true;
    stream.events.onClose(stream.error);
    stream.events = NOBODY;
  }
}

function onConnect(this: StreamSocket): void {
  this[STREAM].connected();
}

function onChunk(this: StreamSocket, chunk: Buffer): void {
  this[STREAM].takeNewChunk(chunk);
}

function onEof(this: StreamSocket): void {
  this[STREAM].takeEof();
}

function onFailed(this: StreamSocket, error: Error): void {
  this[STREAM].noteError(error);
}

function onGone(this: StreamSocket): void {
  this[STREAM].gone();
}

/** Stands for a connection for which there is no descriptor: closed with 'exhausted' right away. */
export class ExhaustedStream implements HostStream {
  private events: HostStreamEvents;
  private error: HostError | null = 'exhausted';

  constructor(context: HostContext, events: HostStreamEvents) {
    this.events = events;
    context.clock.soon(() => context.turn.run(() => this.events.onClose(this.error)));
  }

  write(): boolean {
    return false;
  }

  end(): void {}

  reset(): void {
    this.error = null;
  }

  resume(): void {}

  pause(): void {}
}
