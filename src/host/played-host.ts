// A HostNetwork that is played by hand: what the engine asked for is there to be looked at, and what the world does is a
// call. Nothing is delivered from inside a call: an event waits until the clock's `soon` queue is run, and comes inside a
// turn. Rules that real sockets follow without being asked for are kept: a read lands in the region that was reserved
// before pause(), a lent pad is spoiled after the call, a held write is read when it is let go, not before. What the
// engine must never do, such as two writes at a time, throws.
//
// For replays and tests; it keeps all that was said, so it is not for what runs for long.

import type { Endpoint } from '../base/addr.ts';
import { sameAddr, sameEndpoint } from '../base/addr.ts';
import { Account } from '../base/arena.ts';
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
} from './host-network.ts';
import { PAD_LEN, PlayedStream, type StreamHost } from './played-stream.ts';

export { PlayedStream };

type Accept = (stream: HostStream, from: Endpoint) => HostStreamEvents | null;

export class PlayedHost implements HostNetwork, StreamHost {
  /** Every stream and UDP socket there ever was, oldest first. */
  readonly streams: PlayedStream[] = [];
  readonly sockets: PlayedDatagrams[] = [];
  readonly listeners: PlayedListener[] = [];
  /** What resolvers() says. */
  nameServers: Endpoint[] = [];
  /** Called for each connect; by default the connection hangs until the test opens or refuses it. */
  onConnect: (stream: PlayedStream) => void = () => {};
  /** Called when the engine's bytes have been taken from it. */
  onWrite: (stream: PlayedStream) => void = () => {};
  /** Called for each datagram that was sent. */
  onSend: (socket: PlayedDatagrams, data: Uint8Array, to: Endpoint) => void = () => {};
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

  connectTcp(to: Endpoint, events: HostStreamEvents): PlayedStream {
    const stream = new PlayedStream(this, to, events, 'connecting');
    this.streams.push(stream);
    this.onConnect(stream);
    return stream;
  }

  listenTcp(at: Endpoint, onAccept: Accept): Promise<PlayedListener> {
    if (this.bindError !== null) return Promise.reject(new HostBindError(this.bindError));
    const listener = new PlayedListener(this, at, onAccept);
    this.listeners.push(listener);
    return Promise.resolve(listener);
  }

  openUdp(events: HostDatagramEvents): PlayedDatagrams {
    const socket = new PlayedDatagrams(this, null, events);
    this.sockets.push(socket);
    return socket;
  }

  bindUdp(at: Endpoint, events: HostDatagramEvents): Promise<PlayedDatagrams> {
    if (this.bindError !== null) return Promise.reject(new HostBindError(this.bindError));
    const socket = new PlayedDatagrams(this, at, events);
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
  get openStreams(): PlayedStream[] {
    return this.streams.filter((stream) => stream.state !== 'closed');
  }

  get openSockets(): PlayedDatagrams[] {
    return this.sockets.filter((socket) => !socket.closed);
  }

  /** The latest of them. */
  get stream(): PlayedStream {
    return last(this.streams);
  }

  get socket(): PlayedDatagrams {
    return last(this.sockets);
  }

  /** A client of the host connects to a listener: the stream that the engine got, or null where it was refused. */
  connects(at: Endpoint, from: Endpoint): PlayedStream | null {
    const listener = this.listeners.find((one) => !one.closed && sameEndpoint(one.at, at));
    if (listener === undefined) return null;
    const stream = new PlayedStream(this, from, null, 'open');
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

export class PlayedListener implements HostListener {
  readonly at: Endpoint;
  readonly onAccept: Accept;
  closed = false;
  readonly host: PlayedHost;

  constructor(host: PlayedHost, at: Endpoint, onAccept: Accept) {
    this.host = host;
    this.at = at;
    this.onAccept = onAccept;
  }

  close(): void {
    this.closed = true;
  }
}

/** A datagram that the engine has sent. */
export interface SentDatagram {
  readonly data: Uint8Array;
  readonly to: Endpoint;
}

export class PlayedDatagrams implements HostDatagrams {
  /** Where it is bound; null for a port that the host chose. */
  readonly at: Endpoint | null;
  readonly sent: SentDatagram[] = [];
  closed = false;
  /** True: send() says that its queue is full. */
  full = false;
  private readonly host: PlayedHost;
  private readonly events: HostDatagramEvents;

  constructor(host: PlayedHost, at: Endpoint | null, events: HostDatagramEvents) {
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
