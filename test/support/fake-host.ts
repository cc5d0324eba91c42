// A HostNetwork that a test plays: what the engine asked for is there to be looked at, and what the world does is a
// call. Nothing is delivered from inside a call: an event waits until the test runs the clock's `soon` queue
// (`clock.runSoon()`, `clock.advance(ms)`), and comes inside a turn. Rules that real sockets follow without being
// asked for are kept: a read lands in the region that was reserved before pause(), a lent pad is spoiled after the
// call, a held write is read when it is let go, not before.

import type { Endpoint } from '../../src/base/addr.ts';
import { sameAddr, sameEndpoint } from '../../src/base/addr.ts';
import { Account } from '../../src/base/arena.ts';
import { Region } from '../../src/base/region.ts';
import {
  HostBindError,
  type HostContext,
  type HostDatagramEvents,
  type HostDatagrams,
  type HostError,
  type HostListener,
  type HostNetwork,
  type HostStream,
  type HostStreamEvents,
} from '../../src/host/host-network.ts';

const PAD_LEN = 16384;
const SPOILED = 0xee;

type Accept = (stream: HostStream, from: Endpoint) => HostStreamEvents | null;

export class FakeHost implements HostNetwork {
  /** Every stream and UDP socket there ever was, oldest first. */
  readonly streams: FakeStream[] = [];
  readonly sockets: FakeDatagrams[] = [];
  readonly listeners: FakeListener[] = [];
  /** What resolvers() says. */
  nameServers: Endpoint[] = [];
  /** Called for each connect; by default the connection hangs until the test opens or refuses it. */
  onConnect: (stream: FakeStream) => void = () => {};
  /** Called when the engine's bytes have been taken from it. */
  onWrite: (stream: FakeStream) => void = () => {};
  /** Called for each datagram that was sent. */
  onSend: (socket: FakeDatagrams, data: Uint8Array, to: Endpoint) => void = () => {};
  /** What an attempt to bind fails with, by default nothing. */
  bindError: string | null = null;
  closed = false;
  private context: HostContext | null = null;
  private padAt = -1;
  private readonly account = new Account();

  start(context: HostContext): void {
    this.context = context;
    this.padAt = context.arena.take(PAD_LEN, this.account);
  }

  connectTcp(to: Endpoint, events: HostStreamEvents): FakeStream {
    const stream = new FakeStream(this, to, events, 'connecting');
    this.streams.push(stream);
    this.onConnect(stream);
    return stream;
  }

  listenTcp(at: Endpoint, onAccept: Accept): Promise<FakeListener> {
    if (this.bindError !== null) return Promise.reject(new HostBindError(this.bindError));
    const listener = new FakeListener(this, at, onAccept);
    this.listeners.push(listener);
    return Promise.resolve(listener);
  }

  openUdp(events: HostDatagramEvents): FakeDatagrams {
    const socket = new FakeDatagrams(this, null, events);
    this.sockets.push(socket);
    return socket;
  }

  bindUdp(at: Endpoint, events: HostDatagramEvents): Promise<FakeDatagrams> {
    if (this.bindError !== null) return Promise.reject(new HostBindError(this.bindError));
    const socket = new FakeDatagrams(this, at, events);
    this.sockets.push(socket);
    return Promise.resolve(socket);
  }

  resolvers(): readonly Endpoint[] {
    return this.nameServers;
  }

  close(): Promise<void> {
    for (const listener of this.listeners) listener.close();
    for (const socket of this.sockets) socket.close();
    for (const stream of this.openStreams) stream.reset();
    if (!this.closed && this.padAt >= 0) this.get().arena.give(this.padAt, PAD_LEN, this.account);
    this.closed = true;
    return Promise.resolve();
  }

  /** Streams whose onClose has not come yet. */
  get openStreams(): FakeStream[] {
    return this.streams.filter((stream) => stream.state !== 'closed');
  }

  get openSockets(): FakeDatagrams[] {
    return this.sockets.filter((socket) => !socket.closed);
  }

  /** The latest of them. */
  get stream(): FakeStream {
    return last(this.streams);
  }

  get socket(): FakeDatagrams {
    return last(this.sockets);
  }

  /** A client of the host connects to a listener: the stream that the engine got, or null where it was refused. */
  connects(at: Endpoint, from: Endpoint): FakeStream | null {
    const listener = this.listeners.find((one) => !one.closed && sameEndpoint(one.at, at));
    if (listener === undefined) return null;
    const stream = new FakeStream(this, from, null, 'open');
    this.streams.push(stream);
    this.inTurn(() => stream.accepted(listener.onAccept(stream, from)));
    return stream;
  }

  get arena(): HostContext['arena'] {
    return this.get().arena;
  }

  get pad(): number {
    return this.padAt;
  }

  /** Runs `what` later, in a turn. */
  later(what: () => void): void {
    const { clock, turn } = this.get();
    clock.soon(() => turn.run(what));
  }

  private inTurn(what: () => void): void {
    this.get().turn.run(what);
  }

  private get(): HostContext {
    if (this.context === null) throw new Error('start() comes first');
    return this.context;
  }
}

function last<T>(list: readonly T[]): T {
  const item = list.at(-1);
  if (item === undefined) throw new Error('there is none yet');
  return item;
}

export class FakeListener implements HostListener {
  readonly at: Endpoint;
  readonly onAccept: Accept;
  closed = false;
  readonly host: FakeHost;

  constructor(host: FakeHost, at: Endpoint, onAccept: Accept) {
    this.host = host;
    this.at = at;
    this.onAccept = onAccept;
  }

  close(): void {
    this.closed = true;
  }
}

/** What waits to be told to the engine about a stream. */
type Arrival = { readonly data: Uint8Array } | 'end';

export class FakeStream implements HostStream {
  readonly to: Endpoint;
  state: 'connecting' | 'open' | 'closed' = 'open';
  /** The engine has called end(), or reset(). */
  ended = false;
  wasReset = false;
  /** The engine wants to read. */
  reading = false;
  /** True: a write is not taken at once but held until letGo(). */
  holdWrites = false;
  /** Bytes that the engine has written, as they came. */
  readonly chunks: Uint8Array[] = [];
  private readonly host: FakeHost;
  private events: HostStreamEvents | null;
  /** Where the next read lands, asked for ahead as Node does. */
  private readonly region = new Region();
  private readonly arrivals: Arrival[] = [];
  private held: Region | null = null;
  private pumping = false;
  private remoteEnded = false;

  constructor(host: FakeHost, to: Endpoint, events: HostStreamEvents | null, state: 'connecting' | 'open') {
    this.host = host;
    this.to = to;
    this.events = events;
    this.state = state;
    if (events !== null) this.reserve();
  }

  // What the engine calls.

  write(off: number, len: number): boolean {
    if (this.state !== 'open') throw new Error(`write to a stream that is ${this.state}`);
    if (this.held !== null) throw new Error('one write at a time');
    if (this.ended) throw new Error('write after end');
    if (this.holdWrites) {
      this.held = Object.assign(new Region(), { off, len });
      return false;
    }
    this.take(off, len);
    return true;
  }

  end(): void {
    this.ended = true;
    this.host.later(() => this.closeIfDone());
  }

  reset(): void {
    if (this.wasReset || this.state === 'closed') return;
    this.wasReset = true;
    this.arrivals.length = 0;
    this.host.later(() => this.finish(null));
  }

  resume(): void {
    this.reading = true;
    this.schedule();
  }

  pause(): void {
    this.reading = false;
  }

  // What the test calls: the other side.

  /** The connection is made. */
  open(): this {
    this.host.later(() => {
      if (this.wasReset || this.state !== 'connecting') return;
      this.state = 'open';
      this.events?.onOpen();
    });
    return this;
  }

  /** The connection is refused, or ends with an error; 'reset' is the remote's RST. Data on its way is lost. */
  fail(error: HostError): void {
    this.arrivals.length = 0;
    this.host.later(() => this.finish(error));
  }

  /** Data from the remote. */
  gives(data: Uint8Array | string): this {
    const bytes = typeof data === 'string' ? Uint8Array.from(data, (c) => c.charCodeAt(0)) : data;
    this.arrivals.push({ data: bytes });
    this.schedule();
    return this;
  }

  /** FIN from the remote, behind its data. */
  ends(): this {
    this.arrivals.push('end');
    this.schedule();
    return this;
  }

  /** A held write is done: its bytes are read now. */
  letGo(): void {
    const { held } = this;
    if (held === null) throw new Error('no write is held');
    this.held = null;
    this.take(held.off, held.len);
    this.host.later(() => {
      if (this.state === 'open' && !this.wasReset) this.events?.onWritten();
    });
  }

  get isHolding(): boolean {
    return this.held !== null;
  }

  /** Bytes that have not reached the engine. */
  get undelivered(): number {
    return this.arrivals.reduce((sum, one) => sum + (one === 'end' ? 0 : one.data.length), 0);
  }

  /** All that the engine has written. */
  get written(): Uint8Array {
    const all = new Uint8Array(this.chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let at = 0;
    for (const chunk of this.chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }

  /** The same as text, a character a byte. */
  get text(): string {
    return Array.from(this.written, (byte) => String.fromCharCode(byte)).join('');
  }

  accepted(events: HostStreamEvents | null): void {
    this.events = events;
    if (events === null) {
      this.wasReset = true;
      this.state = 'closed';
    } else this.reserve();
  }

  private take(off: number, len: number): void {
    this.chunks.push(Uint8Array.from(this.host.arena.memory.bytes.subarray(off, off + len)));
    this.host.onWrite(this);
  }

  private schedule(): void {
    if (this.pumping || this.arrivals.length === 0) return;
    this.pumping = true;
    this.host.later(() => {
      this.pumping = false;
      this.pump();
    });
  }

  /** One read or the end, then a turn for the next. */
  private pump(): void {
    const next = this.arrivals[0];
    if (next === undefined || !this.reading || this.state !== 'open' || this.wasReset) return;
    if (next === 'end') {
      this.arrivals.shift();
      this.remoteEnded = true;
      this.events?.onEnd();
      this.closeIfDone();
      return;
    }
    const { len } = this.region;
    const part = next.data.subarray(0, Math.min(len > 0 ? len : PAD_LEN, next.data.length));
    this.arrivals.shift();
    if (part.length < next.data.length) this.arrivals.unshift({ data: next.data.subarray(part.length) });
    this.deliver(part);
    this.schedule();
  }

  private deliver(part: Uint8Array): void {
    const { bytes } = this.host.arena.memory;
    const onPad = this.region.len === 0;
    const at = onPad ? this.host.pad : this.region.off;
    bytes.set(part, at);
    if (this.events?.onRead(at, part.length) === false) this.reading = false;
    if (onPad) bytes.fill(SPOILED, at, at + part.length);
    this.reserve();
  }

  /** Node asks right after each read and never before the next. */
  private reserve(): void {
    this.region.off = 0;
    this.region.len = 0;
    this.events?.reserveRead(this.region);
  }

  private closeIfDone(): void {
    if (this.ended && this.remoteEnded && this.held === null) this.finish(null);
  }

  private finish(error: HostError | null): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.held = null;
    this.events?.onClose(this.wasReset ? null : error);
  }
}

/** A datagram that the engine has sent. */
export interface SentDatagram {
  readonly data: Uint8Array;
  readonly to: Endpoint;
}

export class FakeDatagrams implements HostDatagrams {
  /** Where it is bound; null for a port that the host chose. */
  readonly at: Endpoint | null;
  readonly sent: SentDatagram[] = [];
  closed = false;
  /** True: send() says that its queue is full. */
  full = false;
  private readonly host: FakeHost;
  private readonly events: HostDatagramEvents;

  constructor(host: FakeHost, at: Endpoint | null, events: HostDatagramEvents) {
    this.host = host;
    this.at = at;
    this.events = events;
  }

  send(off: number, len: number, to: Endpoint): boolean {
    if (this.closed) throw new Error('send on a closed socket');
    if (this.full) return false;
    const { bytes } = this.host.arena.memory;
    const data = Uint8Array.from(bytes.subarray(off, off + len));
    this.sent.push({ data, to });
    this.host.onSend(this, data, to);
    return true;
  }

  close(): void {
    this.closed = true;
  }

  /** A datagram from the world. The engine may keep `data`. */
  gives(data: Uint8Array | string, from: Endpoint): void {
    const bytes =
      typeof data === 'string' ? Uint8Array.from(data, (c) => c.charCodeAt(0)) : Uint8Array.from(data);
    this.host.later(() => {
      if (!this.closed) this.events.onDatagram(bytes, from);
    });
  }

  /** The remote has no such port ('refused'), or the socket ends. */
  fails(error: HostError): void {
    this.host.later(() => {
      if (this.closed) return;
      if (error !== 'refused') this.closed = true;
      this.events.onError(error);
    });
  }

  /** The latest that was sent. */
  get lastSent(): SentDatagram {
    return last(this.sent);
  }

  /** Has it sent to this address? */
  hasSentTo(to: Endpoint): boolean {
    return this.sent.some((one) => one.to.port === to.port && sameAddr(one.to.addr, to.addr));
  }
}
