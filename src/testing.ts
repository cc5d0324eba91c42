/// <reference lib="esnext.disposable" preserve="true" />
// usernet/testing: a whole network in one process, for tests of network code without a virtual machine. Small machines with
// DHCP, ARP, TCP and UDP of their own (guest/) on cables in memory, a world outside with named servers
// (host/memory-host.ts), and a clock that is moved by hand: the same seed is the same run, byte for byte, and a time
// limit of minutes takes no time.

import { formatEndpoint, type Mac } from './base/addr.ts';
import type { Clock, Ms } from './base/clock.ts';
import { ManualClock } from './base/manual-clock.ts';
import { Timer } from './base/timers.ts';
import { Xoshiro } from './base/xoshiro.ts';
import { EmbeddedGuest } from './guest/guest.ts';
import { TestGuest } from './guest/test-guest.ts';
import { handle } from './guest/test-listener.ts';
import { TestSocket, type TestStream } from './guest/test-socket.ts';
import { TestTime } from './guest/test-time.ts';
import { ConnectionError, type SocketEnd, type TestContext, TestWaits } from './guest/test-waits.ts';
import type { ByteStream } from './host/byte-stream.ts';
import type { HostError } from './host/host-network.ts';
import { MemoryHost, type MemoryHostOptions, type MemoryPlace, type ServeAt } from './host/memory-host.ts';
import { captureLink, type FrameRecorder, type LinkRecorder } from './link/capture.ts';
import type { FaultOptions } from './link/fault-options.ts';
import { faultyLink } from './link/faults.ts';
import type { Link } from './link/link.ts';
import { createPair } from './link/pair.ts';
import type { NetworkConfig } from './network/config.ts';
import { createNetwork, type Network } from './network/network.ts';
import { describeFrame } from './wire/describe.ts';
import { HEADER_LEN } from './wire/ethernet.ts';

export type { Endpoint, IpAddr, Mac } from './base/addr.ts';
export type { Clock, Micros, Ms } from './base/clock.ts';
export type { Random } from './base/random.ts';
export { Xoshiro as SeededRandom } from './base/xoshiro.ts';
export type { GuestOptions, Ipv4Config, Lease } from './guest/guest.ts';
export { createGuestHost, type GuestHost } from './guest/guest-host.ts';
export type { Acceptor, GuestClose, GuestSocket, GuestSocketEvents } from './guest/tcp-socket.ts';
export type { TestListener } from './guest/test-listener.ts';
export type { TestDatagram, TestUdpSocket } from './guest/test-udp.ts';
export type { GuestUdpEvents, GuestUdpSocket } from './guest/udp-socket.ts';
export { ByteStream, type ByteStreamEvents } from './host/byte-stream.ts';
export type { MemoryDatagram, MemoryUdp, OnConnection } from './host/memory-host.ts';
export type { Pair } from './link/pair.ts';
export type { DhcpParameters } from './wire/dhcp-client.ts';
export {
  ConnectionError,
  captureLink,
  createPair,
  EmbeddedGuest,
  type FaultOptions,
  type FrameRecorder,
  faultyLink,
  type LinkRecorder,
  ManualClock,
  MemoryHost,
  type MemoryHostOptions,
  type MemoryPlace,
  type ServeAt,
  type SocketEnd,
  TestGuest,
  TestSocket,
};

/** How long until() waits if not said otherwise. */
const DEFAULT_LIMIT: Ms = 600_000;

/** What a guest of a test is like. */
export interface GuestSetup {
  /** For logs, captures and errors. Default "guest0", "guest1", ... */
  readonly name?: string;
  /** What its cable does to frames. `seed`: default the network's and the guest's number. */
  readonly faults?: FaultOptions;
  /** Default: a locally administered one that follows from the seed. */
  readonly mac?: Mac;
  /** What it calls itself in DHCP. Default: nothing. */
  readonly hostname?: string;
}

/** What a test's world is like. */
export interface TestNetworkOptions<C extends Clock = ManualClock> {
  readonly config?: NetworkConfig;
  /** A whole number: everything that is random follows from it. Default 1. */
  readonly seed?: number;
  /** Default: a ManualClock, which until() and run() move. Any other moves by itself. Nobody else may set its alarm. */
  readonly clock?: C;
  /**
   * Awaited before the ManualClock moves, for code under test that goes on by other means than promises, which are waited
   * for anyway. For what uses Node's streams or events: `() => new Promise(setImmediate)`.
   */
  readonly idle?: () => Promise<unknown>;
  readonly host?: MemoryHostOptions;
  /** The first guest. */
  readonly guest?: GuestSetup;
  /** The same as guest.faults. */
  readonly faults?: FaultOptions;
  /** Is told of the frames of all guests, as the network sees them: a PcapWriter, a PcapFile. */
  readonly capture?: FrameRecorder | LinkRecorder;
  /** Gets a line for each frame: `12 guest0 > IP 10.0.2.15.49152 > 192.0.2.10.80: Flags [S], ...`, `>` from the guest. */
  readonly trace?: (line: string) => void;
}

/** How long a test waits, in its own time. */
export interface WaitOptions {
  /** Of the network's clock. Default ten minutes. */
  readonly limitMs?: Ms;
}

/** Throws a ConfigError that names the setting. close() it at the end. */
export function createTestNetwork<C extends Clock = ManualClock>(
  options: TestNetworkOptions<C> = {},
): TestNetwork<C> {
  return new TestNetwork<C>(options);
}

/** A network, a guest and a world outside, on one clock. Made by createTestNetwork(). */
export class TestNetwork<C extends Clock = ManualClock> {
  readonly network: Network;
  /** The world outside. */
  readonly host: MemoryHost;
  /** The first guest. Without an address before boot(). */
  readonly guest: TestGuest;
  readonly clock: C;
  readonly seed: number;
  private readonly options: TestNetworkOptions<C>;
  private readonly guests: TestGuest[] = [];
  private readonly waits = new TestWaits();
  private readonly time: TestTime;
  private readonly context: TestContext;
  private readonly started: Promise<unknown>;
  /** What nobody has been told yet. */
  private error: Error | null = null;
  private closing: Promise<void> | null = null;

  constructor(options: TestNetworkOptions<C>) {
    this.options = options;
    this.seed = checkSeed(options.seed ?? 1);
    this.clock = options.clock ?? (new ManualClock() as Clock as C);
    this.time = new TestTime(this.clock, options.idle ?? null);
    this.context = {
      waits: this.waits,
      failed: (error) => this.failed(error),
    };
    this.host = new MemoryHost({ onError: (error) => this.failed(error), ...options.host });
    this.network = createNetwork(options.config ?? {}, {
      clock: this.time.clock,
      random: new Xoshiro(this.seed, 0),
      host: this.host,
      makeView: (buffer) => new Uint8Array(buffer),
      on: { error: ({ cause }) => cause !== undefined && this.failed(cause) },
    });
    this.started = this.network.start();
    // until() tells of it.
    this.started.catch(() => {});
    this.guest = this.plug({ ...(options.faults && { faults: options.faults }), ...options.guest });
  }

  /** One more guest on the same network, without an address before boot(). */
  plug(setup: GuestSetup = {}): TestGuest {
    const number = this.guests.length;
    const { name = `guest${number}`, faults, mac, hostname = null } = setup;
    const random = new Xoshiro(this.seed, number + 1);
    const pair = createPair(name, this.network.settings.mtu + HEADER_LEN);
    const cable =
      faults === undefined
        ? pair.link
        : faultyLink(pair.link, { seed: (this.seed + number) >>> 0, ...faults });
    this.network.attach(this.watched(cable));
    const parts = { host: this.network, random, link: pair.peer, hostname };
    const machine = new EmbeddedGuest(mac === undefined ? parts : { ...parts, mac });
    const guest = new TestGuest(name, machine, this.context, this.network.timers, () => random.word());
    this.guests.push(guest);
    return guest;
  }

  /**
   * Serves TCP in the world outside: `onConnection` gets each connection. Where it throws or rejects that one is reset and
   * the test fails, unless it is because the client has reset it. The returned function ends it. MemoryHost.serve() is
   * the same with callbacks.
   */
  serve(at: ServeAt, onConnection: (socket: TestSocket) => unknown): () => void {
    const own = at.name ?? at.address ?? '127.0.0.1';
    return this.host.serve(at, (stream) => {
      const outside = new OutsideStream(
        this.context,
        stream,
        `${own}:${at.port}`,
        formatEndpoint(stream.remote),
      );
      handle(this.context, onConnection, outside.test);
    });
  }

  /** A client of the world outside connects to a forward. Rejects with a ConnectionError that has the reason. */
  async connect(to: MemoryPlace): Promise<TestSocket> {
    await this.started;
    if (this.closing !== null) throw new Error('the network is closed');
    const what = `a client connects to ${to.address}:${to.port}`;
    return this.waits.wait(what, (resolve, reject) => {
      const stream = this.host.connect(to);
      const outside = new OutsideStream(this.context, stream, 'a client', formatEndpoint(stream.remote));
      outside.onReady = () => resolve(outside.test);
      void outside.test.closed.then((reason) => reject(new ConnectionError(what, reason)));
    });
  }

  /** What code of this process has for a connection into the network, Network.connectTcp() for one, as a TestSocket. */
  socketOf(stream: ByteStream, own = 'the test'): TestSocket {
    return new OutsideStream(this.context, stream, own, formatEndpoint(stream.remote)).test;
  }

  /** Lets `ms` of the network's time pass, and everything that happens in it happen. */
  run(ms: Ms): Promise<void> {
    const { timers } = this.network;
    const passed = new Promise<void>((resolve) => {
      timers.arm(new Timer(() => resolve()), this.clock.now() + ms);
    });
    return this.time.drive(passed);
  }

  /**
   * Moves the clock until what `work` is, or returns, is settled, and settles as that. Rejects when that takes longer than
   * the limit, with an Error that says what is waited for; and with what code that serves a connection has thrown.
   */
  async until<T>(work: Promise<T> | (() => Promise<T>), options: WaitOptions = {}): Promise<T> {
    // Where something else has failed, nobody asks what became of it.
    if (typeof work !== 'function') work.catch(() => {});
    await this.started;
    this.throwUnseen();
    const { limitMs = DEFAULT_LIMIT } = options;
    const { timers } = this.network;
    let timer: Timer | null = null;
    const limited = new Promise<T>((resolve, reject) => {
      timer = new Timer(() => {
        reject(new Error(`nothing for ${limitMs} ms; waiting: ${this.waits.describe()}`));
      });
      timers.arm(timer, this.clock.now() + limitMs);
      (typeof work === 'function' ? work() : work).then(resolve, reject);
    });
    try {
      const result = await this.time.drive(limited);
      this.throwUnseen();
      return result;
    } finally {
      if (timer !== null) timers.disarm(timer);
    }
  }

  /** Guests, network and host. Rejects with what code of the test has thrown and nobody has been told of. Idempotent. */
  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  /** The same as close(), for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async closeAll(): Promise<void> {
    for (const guest of this.guests) guest.close();
    await this.time.drive(this.network.close());
    // What the streams of the world outside hear last.
    await this.time.drive(Promise.resolve());
    this.throwUnseen();
  }

  private watched(link: Link): Link {
    const { capture, trace } = this.options;
    const captured = capture === undefined ? link : captureLink(link, capture);
    if (trace === undefined) return captured;
    return captureLink(captured, {
      record: (direction, memory, off, len) => {
        const way = direction === 'from-guest' ? '>' : '<';
        trace(`${this.clock.now()} ${link.name} ${way} ${describeFrame(memory, off, len)}`);
      },
    });
  }

  private failed(cause: unknown): void {
    // Who was still waiting when the test ended is no news.
    if (this.closing !== null && cause instanceof ConnectionError) return;
    const error = cause instanceof Error ? cause : new Error(String(cause));
    if (!this.time.fail(error)) this.error ??= error;
  }

  private throwUnseen(): void {
    const { error } = this;
    this.error = null;
    if (error !== null) throw error;
  }
}

/** A connection of the world outside as a TestSocket. One piece at a time: the next is taken when this one was read. */
class OutsideStream implements TestStream {
  readonly test: TestSocket;
  onReady: () => void = () => {};
  private readonly stream: ByteStream;
  private piece: Uint8Array | null = null;
  private isFull = false;

  constructor(context: TestContext, stream: ByteStream, own: string, peer: string) {
    this.stream = stream;
    this.test = new TestSocket(context, this, own, peer);
    stream.listen({
      onOpen: () => this.onReady(),
      onData: (data) => {
        this.piece = data;
        stream.pause();
        this.test.onReadable();
      },
      onDrain: () => {
        this.isFull = false;
        this.test.writable();
      },
      onEnd: () => this.test.onEnd(),
      onClose: (error) => this.test.onOver(endOf(error)),
    });
  }

  write(bytes: Uint8Array): number {
    if (this.isFull) return 0;
    this.isFull = !this.stream.write(bytes);
    return bytes.length;
  }

  take(): Uint8Array | null {
    const { piece } = this;
    this.piece = null;
    if (piece !== null) this.stream.resume();
    return piece;
  }

  end(): void {
    this.stream.end();
  }

  reset(): void {
    this.stream.reset();
  }
}

function endOf(error: HostError | null): SocketEnd {
  if (error === null) return 'normal';
  if (error === 'refused' || error === 'reset' || error === 'timed-out') return error;
  return error === 'host-unreachable' || error === 'net-unreachable' ? 'unreachable' : 'failed';
}

function checkSeed(seed: number): number {
  if (!Number.isInteger(seed)) throw new Error(`seed: ${seed} is not a whole number`);
  return seed;
}
