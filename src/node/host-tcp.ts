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
// Reset or FIN. A RST right behind data often reaches Node as a plain 'end'. The kernel knows no peer of a connection
// that was reset, so getpeername tells the two apart, as long as nobody has asked it before (Node remembers the answer)
// and our own FIN was not out (then an orderly end looks the same). A paused socket learns of neither.

import type { SocketConstructorOpts } from 'node:net';
import { Socket } from 'node:net';
import type { Endpoint } from '../base/addr.ts';
import { formatIp, isIpv4 } from '../base/addr.ts';
import { assert } from '../base/assert.ts';
import { Region } from '../base/region.ts';
import type { HostContext, HostError, HostStream, HostStreamEvents } from '../host/host-network.ts';
import { toHostError } from './host-errors.ts';
import type { OpenSockets } from './open-sockets.ts';
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

export class TcpStream implements HostStream {
  private readonly shared: TcpShared;
  private events: HostStreamEvents;
  private socket!: Socket;
  private error: HostError | null = null;
  /** After reset(): only onClose follows. */
  private silenced = false;
  private ended = false;

  private stopped = true;
  private inRead = false;
  private readonly region = new Region();
  private place: Buffer;
  private placeOff: number;
  private firstPlace = true;
  private readOff = 0;
  private readLen = 0;
  /** The rest of a 'data' chunk that nobody wanted yet; only without takeOver(). */
  private chunk: Buffer | null = null;
  private endAfterChunk = false;

  private writing = false;
  /** Callbacks of writes that were done at once, still to come. */
  private doneAtOnce = 0;

  private constructor(shared: TcpShared, events: HostStreamEvents) {
    this.shared = shared;
    this.events = events;
    this.place = shared.pad;
    this.placeOff = shared.padOff;
  }

  /** Starts connecting. The caller has reserved a descriptor. */
  static connect(shared: TcpShared, to: Endpoint, events: HostStreamEvents): TcpStream {
    const stream = new TcpStream(shared, events);
    const socket = new Socket({ allowHalfOpen: true, onread: stream.onread } as SocketConstructorOpts);
    stream.adopt(socket);
    socket.setNoDelay(true);
    socket.pause();
    socket.on('connect', stream.onConnect);
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
    const own = canTakeOver ? takeOver(socket, stream.onread) : socket;
    if (own === null) return null;
    stream.adopt(own);
    if (!canTakeOver) own.on('data', stream.onChunk);
    return stream;
  }

  /** Who listens to an accepted stream from now on. */
  listen(events: HostStreamEvents): void {
    this.events = events;
  }

  write(off: number, len: number): boolean {
    assert(!this.writing, 'one write at a time');
    const { memory } = this.shared.context.arena;
    const view = Buffer.from(memory.bytes.buffer as ArrayBuffer, memory.bytes.byteOffset + off, len);
    this.socket.write(view, this.onWriteDone);
    if (this.socket.writableLength === 0) {
      this.doneAtOnce++;
      return true;
    }
    this.writing = true;
    return false;
  }

  end(): void {
    this.socket.end();
  }

  reset(): void {
    if (this.silenced) return;
    this.silenced = true;
    this.error = null;
    const { socket } = this;
    if (socket.connecting) socket.destroy();
    // Between shutdown(2) and its callback libuv refuses a reset, and the socket would stay for ever.
    else if (this.finIsOut && !socket.writableFinished) socket.once('finish', () => socket.resetAndDestroy());
    else socket.resetAndDestroy();
  }

  resume(): void {
    if (!this.stopped) return;
    this.stopped = false;
    if (this.chunk !== null) this.shared.context.clock.soon(this.takeChunk);
    else if (!this.inRead) this.socket.resume();
  }

  pause(): void {
    if (this.stopped) return;
    this.stopped = true;
    if (!this.inRead) this.socket.pause();
  }

  private adopt(socket: Socket): void {
    this.socket = socket;
    this.shared.streams.add(this);
    socket.on('end', this.onEof);
    socket.on('error', this.onFailed);
    socket.on('close', this.onGone);
  }

  private get finIsOut(): boolean {
    return this.socket.writableEnded && this.socket.writableLength === 0;
  }

  private readonly onConnect = (): void => {
    this.shared.context.turn.run(this.tellOpen);
  };

  private readonly tellOpen = (): void => {
    if (!this.silenced) this.events.onOpen();
  };

  private readonly nextPlace = (): Buffer => {
    const { shared, region } = this;
    region.len = 0;
    // The first place is asked for from inside connectTcp() and before listen(): nobody is ready to be asked.
    if (this.firstPlace) this.firstPlace = false;
    else if (!this.silenced) this.events.reserveRead(region);
    if (region.len === 0) {
      this.place = shared.pad;
      this.placeOff = shared.padOff;
    } else if (region.off !== this.placeOff || region.len !== this.place.length) {
      const { bytes } = shared.context.arena.memory;
      this.place = Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset + region.off, region.len);
      this.placeOff = region.off;
    }
    return this.place;
  };

  private readonly onBytes = (count: number): boolean => {
    this.readOff = this.placeOff;
    this.readLen = count;
    this.inRead = true;
    this.shared.context.turn.run(this.tellRead);
    this.inRead = false;
    return !this.stopped;
  };

  private readonly onread = { buffer: this.nextPlace, callback: this.onBytes };

  private readonly tellRead = (): void => {
    if (this.silenced) return;
    if (!this.events.onRead(this.readOff, this.readLen)) this.stopped = true;
  };

  private readonly onChunk = (chunk: Buffer): void => {
    this.chunk = chunk;
    this.takeChunk();
  };

  /** What `onread` does, by hand: the chunk is copied to where the next reads should land, piece by piece. */
  private readonly takeChunk = (): void => {
    while (this.chunk !== null && !this.silenced && !this.stopped) {
      const piece: Buffer = this.chunk.subarray(0, this.place.length);
      this.chunk = piece.length < this.chunk.length ? this.chunk.subarray(piece.length) : null;
      piece.copy(this.place);
      this.onBytes(piece.length);
      this.nextPlace();
    }
    if (this.stopped) this.socket.pause();
    else this.socket.resume();
    if (this.endAfterChunk && this.chunk === null) this.onEof();
  };

  private readonly onWriteDone = (error?: Error | null): void => {
    if (this.doneAtOnce > 0) this.doneAtOnce--;
    // A write that failed ends the stream: its region stays in use until onClose.
    else if (!error && !this.socket.destroyed) this.shared.context.turn.run(this.tellWritten);
  };

  private readonly tellWritten = (): void => {
    this.writing = false;
    if (!this.silenced) this.events.onWritten();
  };

  private readonly onEof = (): void => {
    this.endAfterChunk = this.chunk !== null;
    if (this.endAfterChunk) return;
    const isReset = !this.finIsOut && this.socket.remoteAddress === undefined;
    if (isReset) {
      this.onFailed(new ConnectionReset());
      this.socket.destroy();
    } else this.shared.context.turn.run(this.tellEnd);
  };

  private readonly tellEnd = (): void => {
    if (this.silenced || this.ended) return;
    this.ended = true;
    this.events.onEnd();
  };

  private readonly onFailed = (error: Error): void => {
    if (!this.silenced) this.error ??= toHostError(error);
  };

  private readonly onGone = (): void => {
    this.shared.streams.gone(this);
    this.shared.context.turn.run(this.tellClose);
  };

  private readonly tellClose = (): void => {
    this.silenced = true;
    this.events.onClose(this.error);
    this.events = NOBODY;
  };
}

class ConnectionReset extends Error {
  readonly code = 'ECONNRESET';
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
