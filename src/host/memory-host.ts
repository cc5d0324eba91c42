// A world outside in memory, for tests: servers with names, and clients. Nothing is dialled, there is no timer and no
// randomness: what happens follows from what the network and the test do, by the network's clock.
//
// An address has what the test serves there; a port without a server is refused. Addresses can be unreachable, or silent
// as behind a firewall that drops. The name server, one of the resolvers that a guest's queries are relayed to, knows
// the names of the servers. Clients of the world outside connect to what the network has bound: its forwards.
//
// A connection is a ByteStream to the test (byte-stream.ts): what the network writes waits where it lies until the test
// takes it, so a test that pauses holds the guest back. Code of the test is called outside of turns; what it throws goes
// to onError.

import { type Endpoint, formatEndpoint, type IpAddr, ipv4Addr, isIpv4 } from '../base/addr.ts';
import { Account } from '../base/arena.ts';
import { framed } from '../wire/dns-framing.ts';
import { ByteStream, type ByteStreamEvents, type ByteStreamHost, PAD_LEN } from './byte-stream.ts';
import {
  HostBindError,
  type HostContext,
  type HostDatagramEvents,
  type HostDatagrams,
  type HostListener,
  type HostNetwork,
  type HostStream,
  type HostStreamEvents,
} from './host-network.ts';
import { MemoryHalf } from './memory-half.ts';
import { NameStream } from './memory-names.ts';
import {
  addressOf,
  endpointOf,
  LOOPBACK,
  type MemoryPlace,
  MemoryPlaces,
  type ServeAt,
} from './memory-places.ts';
import { type MemoryDatagram, MemoryDatagrams, MemoryUdp, type UdpWorld } from './memory-udp.ts';

export type { MemoryDatagram, MemoryPlace, MemoryUdp, ServeAt };

/** What that world is like. */
export interface MemoryHostOptions {
  /** Where the name server is, an IPv4 address; null: there is none. Default "192.0.2.53". */
  readonly nameServer?: string | null;
  /**
   * Hears what code of the test has thrown. Default: it is thrown on by the network's clock: out of runSoon() where that
   * is moved by hand.
   */
  readonly onError?: (error: unknown) => void;
}

type Accept = (stream: HostStream, from: Endpoint) => HostStreamEvents | null;
/** A server: gets each connection, open, and says with listen() who hears of it. */
export type OnConnection = (connection: ByteStream) => void;

interface Listener {
  readonly at: Endpoint;
  readonly onAccept: Accept;
}

const DNS_PORT = 53;
/** TEST-NET-1, RFC 5737: this world's own address. */
const OWN = ipv4Addr(0xc0000201 | 0);
/** RFC 6335 6. */
const FIRST_EPHEMERAL = 49152;
const EPHEMERAL = 16384;

/** A world outside in memory, with servers by name. */
export class MemoryHost implements HostNetwork {
  /** See MemoryHostOptions. */
  onError: (error: unknown) => void;
  private readonly places = new MemoryPlaces();
  private readonly resolver: Endpoint | null;
  private readonly servers = new Map<string, OnConnection>();
  private readonly listeners = new Map<string, Listener>();
  private readonly outside = new Map<string, MemoryUdp>();
  private readonly inside = new Map<string, MemoryDatagrams>();
  private readonly streams = new Set<MemoryHalf>();
  private nextPort = 0;
  private context: HostContext | null = null;
  private pad = -1;
  private readonly account = new Account();
  private readonly streamHost: ByteStreamHost;
  private readonly udpWorld: UdpWorld;

  constructor(options: MemoryHostOptions = {}) {
    const { nameServer = '192.0.2.53' } = options;
    this.onError = options.onError ?? ((error) => this.get().clock.soon(() => rethrow(error)));
    this.streamHost = this.streamHostOf();
    this.udpWorld = this.udpWorldOf();
    this.resolver =
      nameServer === null ? null : { addr: addressOf('nameServer', nameServer), port: DNS_PORT };
    if (nameServer !== null) this.serveNames(nameServer);
  }

  // What a test does.

  /**
   * Serves TCP: `onConnection` gets each connection, open, and says with listen() who hears of it. The returned function
   * ends that; connections stay. Throws where the place is taken.
   */
  serve(at: ServeAt, onConnection: OnConnection): () => void {
    const key = formatEndpoint(this.places.placeOf(at));
    if (this.servers.has(key) || this.listeners.has(key)) throw new Error(`tcp ${key} is taken`);
    this.servers.set(key, onConnection);
    return () => {
      if (this.servers.get(key) === onConnection) this.servers.delete(key);
    };
  }

  /** Serves UDP: `onDatagram` gets each datagram. close() of what is returned ends that. Throws where the place is taken. */
  serveUdp(at: ServeAt, onDatagram: (datagram: MemoryDatagram) => void): MemoryUdp {
    return this.openOutside(this.places.placeOf(at), onDatagram);
  }

  /** `name` has `address`, too. */
  addName(name: string, address: string): void {
    this.places.names.add(name, addressOf('address', address).w3);
  }

  /** Every name and its addresses. */
  listNames(): Record<string, string[]> {
    return this.places.names.list();
  }

  /**
   * From now on nobody reaches `where`, an address or a prefix ("198.51.100.0/24"), and is told so at once. The latest
   * call about an address counts; the returned function takes it back. Connections that stand are not touched.
   */
  unreachable(where: string): () => void {
    return this.places.obstruct(where, 'unreachable');
  }

  /** The same, but nobody is told: what is sent there vanishes. */
  silent(where: string): () => void {
    return this.places.obstruct(where, 'silent');
  }

  /**
   * A client of the world outside connects to what the network has bound. onOpen or onClose follows; 'refused' where
   * nothing is bound. `from`: default a port of 127.0.0.1 for a place there, else of 192.0.2.1.
   */
  connect(to: MemoryPlace, events: ByteStreamEvents = {}, from?: MemoryPlace): ByteStream {
    const at = endpointOf(to);
    const client = from === undefined ? this.sourceFor(at, this.freePort()) : endpointOf(from);
    const half = new MemoryHalf(this.streamHost, client, null);
    this.track(half);
    const stream = new ByteStream(half, at);
    stream.listen(events);
    this.streamHost.later(() => {
      const listener = findAt(this.listeners, at);
      half.connectTo(listener === undefined ? null : (accepted) => listener.onAccept(accepted, client));
    });
    return stream;
  }

  /** A client's UDP port in the world outside; `at`: default a free port of 127.0.0.1. */
  openClientUdp(onDatagram: (datagram: MemoryDatagram) => void, at?: MemoryPlace): MemoryUdp {
    const place = at === undefined ? { addr: LOOPBACK, port: this.freePort() } : endpointOf(at);
    return this.openOutside(place, onDatagram);
  }

  // HostNetwork

  start(context: HostContext): void {
    if (this.context !== null) throw new Error('a MemoryHost is the host of one network');
    this.context = context;
    this.pad = context.arena.take(PAD_LEN, this.account);
  }

  connectTcp(to: Endpoint, events: HostStreamEvents): HostStream {
    const half = new MemoryHalf(this.streamHost, to, events);
    this.track(half);
    const obstacle = this.places.obstacleAt(to.addr);
    const server = this.servers.get(formatEndpoint(to));
    if (obstacle === 'unreachable') half.fail('host-unreachable');
    else if (obstacle === null && server === undefined) half.fail('refused');
    else if (obstacle === null && server !== undefined) {
      const stream = new ByteStream(half, this.sourceFor(to, this.freePort()));
      half.onOpened = () => this.streamHost.soon(() => this.call(() => server(stream), stream));
      half.open();
    }
    return half;
  }

  listenTcp(at: Endpoint, onAccept: Accept): Promise<HostListener> {
    const bound = at.port === 0 ? { addr: at.addr, port: this.freePort() } : at;
    const key = formatEndpoint(bound);
    if (this.listeners.has(key) || this.servers.has(key)) return Promise.reject(taken(key));
    this.listeners.set(key, { at: bound, onAccept });
    return Promise.resolve({ at: bound, close: () => void this.listeners.delete(key) });
  }

  openUdp(events: HostDatagramEvents): HostDatagrams {
    return this.openInside({ addr: ipv4Addr(0), port: this.freePort() }, events);
  }

  bindUdp(at: Endpoint, events: HostDatagramEvents): Promise<HostDatagrams> {
    const bound = at.port === 0 ? { addr: at.addr, port: this.freePort() } : at;
    const key = formatEndpoint(bound);
    if (this.inside.has(key) || this.outside.has(key)) return Promise.reject(taken(key));
    return Promise.resolve(this.openInside(bound, events));
  }

  resolvers(): readonly Endpoint[] {
    return this.resolver === null ? [] : [this.resolver];
  }

  close(): Promise<void> {
    this.listeners.clear();
    for (const socket of [...this.inside.values()]) socket.close();
    for (const stream of this.streams) stream.reset();
    if (this.pad >= 0) this.get().arena.give(this.pad, PAD_LEN, this.account);
    this.pad = -1;
    return Promise.resolve();
  }

  /** Connections, of both directions, whose end the network has not heard of. */
  get openStreams(): number {
    return this.streams.size;
  }

  private openOutside(at: Endpoint, onDatagram: (datagram: MemoryDatagram) => void): MemoryUdp {
    const key = formatEndpoint(at);
    if (this.outside.has(key) || this.inside.has(key)) throw new Error(`udp ${key} is taken`);
    const socket = new MemoryUdp(this.udpWorld, at, onDatagram);
    this.outside.set(key, socket);
    return socket;
  }

  private openInside(at: Endpoint, events: HostDatagramEvents): MemoryDatagrams {
    const socket = new MemoryDatagrams(this.udpWorld, at, events);
    this.inside.set(formatEndpoint(at), socket);
    return socket;
  }

  private serveNames(address: string): void {
    const at = { address, port: DNS_PORT };
    this.serveUdp(at, ({ data, reply }) => {
      const answer = this.places.names.answerUdp(data);
      if (answer !== null) reply(answer);
    });
    this.serve(at, (stream) => {
      const reader = new NameStream();
      stream.listen({
        onData: (data) => {
          for (const query of reader.take(data)) {
            const answer = this.places.names.answer(query);
            // Who does not read the answers is not heard until then.
            if (answer !== null && !stream.write(framed(answer))) stream.pause();
          }
        },
        onDrain: () => stream.resume(),
        onEnd: () => stream.end(),
      });
    });
  }

  private track(half: MemoryHalf): void {
    this.streams.add(half);
    half.onLeft = () => void this.streams.delete(half);
  }

  /** Who the network's connection to `to` comes from. */
  private sourceFor(to: Endpoint, port: number): Endpoint {
    return { addr: isLoopback(to.addr) ? LOOPBACK : OWN, port };
  }

  /** One after the other, so that ports differ for as long as can be; those in use are left out. */
  private freePort(): number {
    for (let i = 0; i < EPHEMERAL; i++) {
      const port = FIRST_EPHEMERAL + this.nextPort;
      this.nextPort = (this.nextPort + 1) % EPHEMERAL;
      const used = [LOOPBACK, OWN, ipv4Addr(0)].some((addr) => {
        const key = formatEndpoint({ addr, port });
        return this.listeners.has(key) || this.inside.has(key) || this.outside.has(key);
      });
      if (!used) return port;
    }
    throw new Error('every port is in use');
  }

  private call(code: () => void, stream: ByteStream | null): void {
    try {
      code();
    } catch (error) {
      stream?.reset();
      this.onError(error);
    }
  }

  private get(): HostContext {
    if (this.context === null) throw new Error('the host has no network yet: createNetwork() comes first');
    return this.context;
  }

  private streamHostOf(): ByteStreamHost {
    const get = (): HostContext => this.get();
    const pad = (): number => this.pad;
    return {
      get arena() {
        return get().arena;
      },
      get pad() {
        return pad();
      },
      later: (what) => {
        const { clock, turn } = get();
        clock.soon(() => turn.run(what));
      },
      soon: (what) => get().clock.soon(what),
      threw: (error) => this.onError(error),
    };
  }

  private udpWorldOf(): UdpWorld {
    const get = (): HostContext => this.get();
    const { streamHost } = this;
    return {
      get context() {
        return get();
      },
      obstacle: (to) => this.places.obstacleAt(to.addr),
      outside: (to) => this.outside.get(formatEndpoint(to)),
      inside: (to) => findAt(this.inside, to),
      sourceFor: (to, port) => this.sourceFor(to, port),
      later: (what) => streamHost.later(what),
      soon: (what) => get().clock.soon(() => this.call(what, null)),
      closedInside: (socket) => void this.inside.delete(formatEndpoint(socket.at)),
      closedOutside: (socket) => void this.outside.delete(formatEndpoint(socket.at)),
    };
  }
}

/** What is bound at `at`, or at its port of every address. */
function findAt<T>(table: ReadonlyMap<string, T>, at: Endpoint): T | undefined {
  return table.get(formatEndpoint(at)) ?? table.get(formatEndpoint({ addr: ipv4Addr(0), port: at.port }));
}

function isLoopback(addr: IpAddr): boolean {
  return isIpv4(addr) && addr.w3 >>> 24 === 127;
}

function taken(key: string): HostBindError {
  return new HostBindError(`${key}: the address is in use already`);
}

function rethrow(error: unknown): never {
  throw error;
}
