// The world outside, played in memory: nothing is dialled, whatever a mutated frame asks for. What a remote does follows
// from its port and from a seed, so that a run is the same every time. It keeps nothing of what is over.
//
// TCP, by port modulo 8: echoes, refuses, says something and closes, gives a lot, takes bytes only when it is told to,
// never answers, resets after the first bytes, fails in one of the other ways. UDP, by port modulo 8: echoes, refuses,
// gives a large datagram, several, one from a stranger, has a full queue, is silent, ends. Port 53 is a resolver.
//
// The rules of host-network.ts are held against the engine: one write at a time, none after end(). Everything that comes
// from it is searched for bytes of free arena.

import type { Endpoint, IpAddr } from '../../src/base/addr.ts';
import { ipv4Addr, sameEndpoint } from '../../src/base/addr.ts';
import { Account } from '../../src/base/arena.ts';
import { EngineHalf } from '../../src/host/engine-half.ts';
import type {
  HostContext,
  HostDatagramEvents,
  HostDatagrams,
  HostError,
  HostListener,
  HostNetwork,
  HostStream,
  HostStreamEvents,
} from '../../src/host/host-network.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { ArenaWatch } from './arena-watch.ts';
import { answerQuery } from './resolver.ts';

const PAD_LEN = 65536;
/** What a remote has to say waits here: more is forgotten, the remote is a bad one. */
const MAX_BACKLOG = 1 << 20;
const BULK = 600_000;
/** In place of a port modulo 8: a resolver. */
const NAMES = 8;
const ERRORS: readonly HostError[] = [
  ...(['host-unreachable', 'net-unreachable', 'timed-out', 'reset'] as const),
  ...(['not-permitted', 'exhausted', 'failed', 'refused'] as const),
];

export const RESOLVERS: readonly Endpoint[] = [
  { addr: ipv4Addr(0xc0000235 | 0), port: 53 },
  { addr: ipv4Addr(0xc0000236 | 0), port: 53 },
];

type Accept = (stream: HostStream, from: Endpoint) => HostStreamEvents | null;

export class FuzzHost implements HostNetwork {
  /** Open ones, oldest first. */
  readonly streams: FuzzStream[] = [];
  readonly sockets: FuzzDatagrams[] = [];
  readonly listeners: { at: Endpoint; onAccept: Accept; isClosed: boolean }[] = [];
  readonly random: SeededRandom;
  /** Told of all bytes that the engine has given, at [off, off+len) of the arena. */
  onBytes: (off: number, len: number) => void = () => {};
  watch!: ArenaWatch;
  context!: HostContext;
  pad = -1;
  private readonly salt: number;
  private readonly account = new Account();
  private isClosed = false;

  constructor(seed: number, salt: number) {
    this.random = new SeededRandom(seed);
    this.salt = salt;
  }

  start(context: HostContext): void {
    this.context = context;
    this.watch = new ArenaWatch(context.arena, this.salt);
    this.pad = context.arena.take(PAD_LEN, this.account);
  }

  connectTcp(to: Endpoint, events: HostStreamEvents): FuzzStream {
    const stream = new FuzzStream(this, to, 'connecting');
    stream.join(events);
    this.streams.push(stream);
    return stream;
  }

  listenTcp(at: Endpoint, onAccept: Accept): Promise<HostListener> {
    const listener = { at, onAccept, isClosed: false };
    this.listeners.push(listener);
    return Promise.resolve({
      at,
      close: () => {
        listener.isClosed = true;
      },
    });
  }

  openUdp(events: HostDatagramEvents): FuzzDatagrams {
    const socket = new FuzzDatagrams(this, events);
    this.sockets.push(socket);
    return socket;
  }

  bindUdp(_: Endpoint, events: HostDatagramEvents): Promise<HostDatagrams> {
    return Promise.resolve(this.openUdp(events));
  }

  resolvers(): readonly Endpoint[] {
    return RESOLVERS;
  }

  close(): Promise<void> {
    for (const stream of [...this.streams]) stream.reset();
    for (const socket of [...this.sockets]) socket.close();
    if (!this.isClosed) this.context.arena.give(this.pad, PAD_LEN, this.account);
    this.isClosed = true;
    return Promise.resolve();
  }

  /** A client from `from` connects to the listener with this number. */
  connects(listener: number, from: Endpoint): void {
    const at = this.listeners[listener % Math.max(1, this.listeners.length)];
    if (at === undefined || at.isClosed) return;
    const stream = new FuzzStream(this, { ...from, port: at.at.port }, 'open');
    this.streams.push(stream);
    this.context.turn.run(() => {
      const events = at.onAccept(stream, from);
      if (events === null) stream.forget();
      else stream.join(events);
    });
  }

  /** Runs `what` later, in a turn. */
  later(what: () => void): void {
    const { clock, turn } = this.context;
    clock.soon(() => turn.run(what));
  }

  /** Bytes from the engine: looked at now, they are lent. */
  took(off: number, len: number): void {
    this.watch.search(off, len, 'to the host');
    this.onBytes(off, len);
  }
}

export class FuzzStream extends EngineHalf<FuzzHost> {
  private readonly way: number;
  private remoteEnds = false;
  /** What the remote has still to say: bytes that it makes up, and those it echoes. */
  private backlog = 0;
  private readonly echo: Buffer[] = [];
  private said = 0;

  constructor(host: FuzzHost, to: Endpoint, state: 'connecting' | 'open') {
    super(host, to, state);
    this.way = to.port === 53 ? NAMES : to.port & 7;
    this.holdWrites = this.way === 4;
  }

  /** `events` listens to it; a connection that is being made begins to do what its port says. */
  join(events: HostStreamEvents): void {
    this.events = events;
    this.reserve();
    if (this.state === 'open') this.opened();
    else if (this.way === 1) this.fail('refused');
    else if (this.way === 7) this.fail(ERRORS[(this.to.port >>> 3) & 7]!);
    else if (this.way !== 5) this.open();
  }

  // What the engine calls: what it must not do besides.

  override write(off: number, len: number): boolean {
    if (len === 0) throw new Error('write of nothing');
    return super.write(off, len);
  }

  override end(): void {
    if (this.ended) throw new Error('end after end');
    if (this.way !== 4) this.remoteEnds = true;
    this.schedule();
    super.end();
  }

  // What the world does.

  gives(bytes: number): void {
    this.backlog = Math.min(this.backlog + bytes, MAX_BACKLOG);
    this.schedule();
  }

  ends(): void {
    this.remoteEnds = true;
    this.schedule();
  }

  hold(): void {
    this.holdWrites = true;
  }

  override letGo(): void {
    this.holdWrites = false;
    super.letGo();
  }

  /** Nobody listens to it. */
  forget(): void {
    this.state = 'closed';
    this.left();
  }

  protected override opened(): void {
    if (this.way === 2) this.gives(1 + (this.to.port >>> 3) * 7);
    if (this.way === 2) this.ends();
    if (this.way === 3) this.gives(BULK);
  }

  protected took(off: number, len: number): void {
    this.host.took(off, len);
    if (this.way === 0 && this.echo.length < 64) {
      const { bytes } = this.host.context.arena.memory;
      this.echo.push(Buffer.from(bytes.subarray(off, off + len)));
      this.schedule();
    }
    if (this.way === NAMES) {
      const { bytes } = this.host.context.arena.memory;
      const answer = answerQuery(bytes.subarray(off + 2, off + len), this.host.random);
      if (answer === null) return;
      this.echo.push(Buffer.from([answer.length >> 8, answer.length & 255]), answer);
      this.schedule();
    }
    if (this.way === 6) this.fail('reset');
  }

  protected pump(): void {
    const echo = this.echo[0];
    if (echo === undefined && this.backlog === 0) {
      if (this.remoteEnds) this.endRemote();
      return;
    }
    const room = this.region.len > 0 ? this.region.len : PAD_LEN;
    const onPad = this.region.len === 0;
    const at = onPad ? this.host.pad : this.region.off;
    const len = Math.min(room, echo?.length ?? this.backlog);
    const { bytes } = this.host.context.arena.memory;
    if (echo === undefined) {
      bytes.fill(this.said & 0xff, at, at + len);
      this.said++;
      this.backlog -= len;
    } else {
      bytes.set(echo.subarray(0, len), at);
      if (len === echo.length) this.echo.shift();
      else this.echo[0] = echo.subarray(len);
    }
    if (this.events?.onRead(at, len) === false) this.reading = false;
    if (onPad) this.host.watch.spoil(at, len);
    this.reserve();
    this.schedule();
  }

  protected override left(): void {
    const { streams } = this.host;
    const at = streams.indexOf(this);
    if (at >= 0) streams.splice(at, 1);
  }
}

export class FuzzDatagrams implements HostDatagrams {
  private readonly host: FuzzHost;
  private readonly events: HostDatagramEvents;
  private isClosed = false;
  /** What a resolver takes its time for: it comes in place of the next datagram. */
  private late: Buffer | null = null;
  /** Whom it has sent to last. */
  private last: Endpoint | null = null;

  constructor(host: FuzzHost, events: HostDatagramEvents) {
    this.host = host;
    this.events = events;
  }

  send(off: number, len: number, to: Endpoint): boolean {
    if (this.isClosed) throw new Error('send on a closed socket');
    this.host.took(off, len);
    const { bytes } = this.host.context.arena.memory;
    const data = Buffer.from(bytes.subarray(off, off + len));
    this.last = to;
    if (to.port === 53 && RESOLVERS.some((one) => sameEndpoint(one, to))) {
      this.resolve(data, to);
      return true;
    }
    const way = to.port & 7;
    if (way === 5) return false;
    if (way === 0) this.gives(data, to);
    else if (way === 1) this.fails('refused');
    else if (way === 2) this.gives(Buffer.alloc(1 + (to.port % 65507), 0x61), to);
    else if (way === 3) for (let i = 0; i < 5; i++) this.gives(Buffer.alloc(i * 300, 0x62), to);
    else if (way === 4) this.gives(data, { addr: to.addr, port: to.port ^ 1 });
    else if (way === 7) this.fails(ERRORS[(to.port >>> 3) & 7]!);
    return true;
  }

  close(): void {
    if (!this.isClosed) this.leave();
  }

  /** A datagram of `len` bytes from whoever was sent to last, or from `from`. */
  givesBytes(len: number, from: Endpoint | null): void {
    const source = from ?? this.last;
    if (source !== null) this.gives(this.late ?? Buffer.alloc(len, 0x63), source);
    this.late = null;
  }

  gives(data: Uint8Array, from: Endpoint): void {
    this.host.later(() => {
      if (!this.isClosed) this.events.onDatagram(data, from);
    });
  }

  fails(error: HostError): void {
    this.host.later(() => {
      if (this.isClosed) return;
      if (error !== 'refused') this.leave();
      this.events.onError(error);
    });
  }

  private resolve(query: Buffer, from: Endpoint): void {
    const what = this.host.random.below(8);
    if (what === 0) return;
    if (what === 1) {
      this.fails('refused');
      return;
    }
    const answer = answerQuery(query, this.host.random);
    if (answer === null) return;
    if (what === 2) this.late = answer;
    else this.gives(answer, from);
  }

  private leave(): void {
    this.isClosed = true;
    const { sockets } = this.host;
    const at = sockets.indexOf(this);
    if (at >= 0) sockets.splice(at, 1);
  }
}

/** A client's address: on loopback, in the world, one of the guests' network, over IPv6. */
export function clientAddr(n: number): IpAddr {
  const kind = n & 3;
  if (kind === 0) return ipv4Addr(0x7f000001);
  if (kind === 1) return ipv4Addr(0xc6336400 | ((n >>> 2) & 0xff) | 0);
  if (kind === 2) return ipv4Addr(0x0a000200 | ((n >>> 2) & 0xff));
  return { w0: 0x20010db8, w1: 0, w2: 0, w3: n };
}
