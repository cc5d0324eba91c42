// The host's network by way of a relay: a HostNetwork for an engine that has no sockets, in a browser's page. Every
// connection and every UDP remote of a guest is a stream of one WebSocket that speaks wisp to a server which has sockets:
// ours (relay-session.ts), or any other.
//
// It begins to dial when the network is made. Connections that guests ask for while it dials wait for that; while it rests
// after a failure they are told that there is no network. When the WebSocket is lost, so are all streams: they are reset,
// and it dials again. What a server refuses for good, as for a wrong password, is not tried again.
//
// A relay cannot listen for us, so forwards of host ports cannot be bound. Names are resolved by name servers that the
// guest's queries go to through the relay, since a page does not know those of its host.

import { type Endpoint, formatEndpoint, parseIp, sameEndpoint } from '../base/addr.ts';
import { Account } from '../base/arena.ts';
import { assert } from '../base/assert.ts';
import type { Clock, Ms } from '../base/clock.ts';
import { Timers } from '../base/timers.ts';
import { Turn } from '../base/turn.ts';
import {
  HostBindError,
  type HostContext,
  type HostDatagramEvents,
  type HostDatagrams,
  type HostListener,
  type HostNetwork,
  type HostStream,
  type HostStreamEvents,
} from '../host/host-network.ts';
import type { Conversation } from './conversation.ts';
import { type Credentials, credentialsProblem } from './credentials.ts';
import type { Dial } from './message-socket.ts';
import { DatagramLosses, type DatagramsHome, RelayDatagrams } from './relay-datagrams.ts';
import { type LinkEvents, RelayLink } from './relay-link.ts';
import { PAD_LEN, RelayStream, type StreamHome } from './relay-stream.ts';
import * as wisp from './wisp.ts';
import { PacketType } from './wisp.ts';

const DNS_PORT = 53;
const DEFAULT_RESOLVERS = ['1.1.1.1', '8.8.8.8'];
const DEFAULT_BUFFER_BYTES = 64 << 20;
const DEFAULT_PACKETS = 64;
/** The highest stream id. */
const LAST_ID = 0xffffffff;

/** Which relay, and how it is spoken to. */
export interface RelayHostOptions {
  /** Opens a WebSocket to the relay: `dialWebSocket(url)`. */
  readonly dial: Dial;
  /** A clock of its own, not the network's: each has one alarm. */
  readonly clock: Clock;
  /** Shown to a server that asks for them. */
  readonly credentials?: Credentials;
  /**
   * Name servers for the guests' queries, as the relay's side reaches them: addresses, with a port where it is not 53.
   * Default: 1.1.1.1 and 8.8.8.8.
   */
  readonly resolvers?: readonly string[];
  /** The first pause before a lost relay is dialled again; doubles up to 30 s. null: never. Default 1000. */
  readonly reconnectMs?: Ms | null;
  /**
   * What may wait in all streams for guests to read it, where the relay does not count (ours does); above, the stream with
   * the most is reset. Default 64 MiB.
   */
  readonly bufferBytes?: number;
  /** 1: version 2 of the protocol is not offered. Default 2. */
  readonly version?: 1 | 2;
  /** The relay is there, or is not and why. */
  readonly onState?: (state: 'ready' | 'lost', why: string) => void;
}

/** What became of the connection to the relay and of what went over it. */
export interface RelayHostStats extends Readonly<DatagramLosses> {
  /** `idle` before start(); `refused`: for good. */
  readonly state: RelayLink['state'];
  readonly version: 1 | 2;
  readonly streams: number;
  readonly udpSockets: number;
  /** Bytes that wait for guests to read them. */
  readonly arrivedBytes: number;
  /** Streams that were reset because more waited than there is room for. */
  readonly overflows: number;
  readonly badPackets: number;
  /** Packets for streams that are not there. */
  readonly strayPackets: number;
}

/** A host whose sockets are a relay's. To be given to createNetwork() as `host`. */
export class RelayHost implements HostNetwork, LinkEvents, StreamHome, DatagramsHome {
  readonly link: RelayLink;
  readonly timers: Timers;
  readonly packets = DEFAULT_PACKETS;
  readonly losses = new DatagramLosses();
  private readonly options: RelayHostOptions;
  private readonly nameServers: readonly Endpoint[];
  private readonly bufferBytes: number;
  private context: HostContext | null = null;
  private padAt = -1;
  private readonly account = new Account();
  private readonly conversations = new Map<number, Conversation>();
  /** Those that wait to begin until the relay takes packets again: what ends meanwhile costs it nothing. */
  private readonly unlaunched = new Set<number>();
  private readonly streams = new Set<RelayStream>();
  private readonly sockets = new Set<RelayDatagrams>();
  private lastId = 0;
  private arrivedBytes = 0;
  private overflows = 0;
  private strayPackets = 0;
  private closing: Promise<void> | null = null;
  private streamsGone: () => void = () => {};

  /** Throws where an option is wrong, naming it. */
  constructor(options: RelayHostOptions) {
    const { resolvers = DEFAULT_RESOLVERS, reconnectMs = 1000, credentials = null, version = 2 } = options;
    const { bufferBytes = DEFAULT_BUFFER_BYTES, clock, dial } = options;
    const problem = credentials === null ? null : credentialsProblem(credentials);
    if (problem !== null) throw new Error(`credentials: ${problem}`);
    if (reconnectMs !== null && !(reconnectMs >= 1))
      throw new Error(`reconnectMs: ${reconnectMs} is neither null nor at least 1`);
    if (!(bufferBytes >= PAD_LEN)) throw new Error(`bufferBytes: ${bufferBytes} is below ${PAD_LEN}`);
    this.options = options;
    this.bufferBytes = bufferBytes;
    this.nameServers = resolvers.map((text, i) => resolverOf(text, `resolvers[${i}]`));
    this.timers = new Timers(clock, new Turn(clock));
    const { timers, packets } = this;
    this.link = new RelayLink({ dial, timers, version, credentials, reconnectMs, packets }, this);
  }

  start(context: HostContext): void {
    assert(this.context === null, 'a host is started once');
    this.padAt = context.arena.take(PAD_LEN, this.account);
    if (this.padAt < 0) throw new Error('the arena has no room for what the host reads to');
    this.context = context;
    this.link.dial();
  }

  connectTcp(to: Endpoint, events: HostStreamEvents): HostStream {
    const stream = new RelayStream(this, to, events);
    this.streams.add(stream);
    this.launch(stream.id);
    return stream;
  }

  listenTcp(at: Endpoint): Promise<HostListener> {
    return Promise.reject(new HostBindError(`tcp ${formatEndpoint(at)}: a relay cannot listen`));
  }

  openUdp(events: HostDatagramEvents): HostDatagrams {
    const socket = new RelayDatagrams(this, events);
    this.sockets.add(socket);
    return socket;
  }

  bindUdp(at: Endpoint): Promise<HostDatagrams> {
    return Promise.reject(new HostBindError(`udp ${formatEndpoint(at)}: a relay cannot listen`));
  }

  resolvers(): readonly Endpoint[] {
    return this.nameServers;
  }

  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  /** Made for the call. */
  stats(): RelayHostStats {
    const { link, streams, sockets, arrivedBytes, overflows, strayPackets } = this;
    return {
      ...{ state: link.state, version: link.version, streams: streams.size, udpSockets: sockets.size },
      ...{ arrivedBytes, overflows, badPackets: link.badPackets, strayPackets, ...this.losses },
    };
  }

  // LinkEvents

  onReady(): void {
    this.unlaunched.clear();
    for (const conversation of [...this.conversations.values()]) conversation.connect();
    this.tellState('ready', '');
  }

  onPacket(v: DataView, bytes: Uint8Array): void {
    this.started().turn.run(() => this.route(v, bytes));
  }

  onDrain(): void {
    for (const id of this.unlaunched) this.conversations.get(id)?.connect();
    this.unlaunched.clear();
    for (const conversation of [...this.conversations.values()]) conversation.onDrain();
  }

  onLost(why: string): void {
    const error = this.link.state === 'refused' ? 'not-permitted' : 'net-unreachable';
    const all = [...this.conversations.values()];
    this.conversations.clear();
    this.unlaunched.clear();
    this.started().turn.run(() => {
      for (const conversation of all) conversation.onLost(error);
    });
    this.tellState('lost', why);
  }

  private tellState(state: 'ready' | 'lost', why: string): void {
    try {
      this.options.onState?.(state, why);
    } catch {
      // The embedder's: what it throws is nobody's.
    }
  }

  // What streams and sockets ask for.

  get arena(): HostContext['arena'] {
    return this.started().arena;
  }

  get pad(): number {
    return this.padAt;
  }

  /** @internal */
  later(what: () => void): void {
    const { clock, turn } = this.started();
    clock.soon(() => turn.run(what));
  }

  newId(who: Conversation): number {
    do this.lastId = this.lastId === LAST_ID ? 1 : this.lastId + 1;
    while (this.conversations.has(this.lastId));
    this.conversations.set(this.lastId, who);
    return this.lastId;
  }

  launch(id: number): void {
    const { link } = this;
    const who = this.conversations.get(id);
    if (link.state === 'ready' && link.canSend) who?.connect();
    else if (link.state === 'ready') this.unlaunched.add(id);
    else if (link.state !== 'dialling') {
      this.forget(id);
      who?.onLost(link.state === 'refused' ? 'not-permitted' : 'net-unreachable');
    }
  }

  forget(id: number): void {
    this.unlaunched.delete(id);
    this.conversations.delete(id);
  }

  /** @internal */
  closed(stream: RelayStream): void {
    this.streams.delete(stream);
    if (this.streams.size === 0) this.streamsGone();
  }

  /** @internal */
  closedUdp(socket: RelayDatagrams): void {
    this.sockets.delete(socket);
  }

  /** @internal */
  isResolver(at: Endpoint): boolean {
    return this.nameServers.some((one) => sameEndpoint(one, at));
  }

  overflowed(stream: RelayStream): void {
    this.overflows++;
    stream.overflow();
  }

  addArrived(bytes: number): void {
    this.arrivedBytes += bytes;
    if (bytes <= 0 || this.arrivedBytes <= this.bufferBytes) return;
    this.overflowed([...this.streams].reduce((most, one) => (one.arrived > most.arrived ? one : most)));
  }

  private route(v: DataView, bytes: Uint8Array): void {
    const id = wisp.streamId(v);
    const who = this.conversations.get(id);
    if (who === undefined) {
      this.strayPackets++;
      return;
    }
    switch (wisp.type(v)) {
      case PacketType.Data:
        who.onData(bytes.subarray(wisp.HEADER_LEN));
        return;
      case PacketType.Continue:
        who.onContinue(wisp.bufferRemaining(v));
        return;
      case PacketType.Close:
        this.forget(id);
        who.onClosed(wisp.closeReason(v));
        return;
      default:
        // A server does not connect to us.
        this.strayPackets++;
    }
  }

  private async closeAll(): Promise<void> {
    const { context } = this;
    if (context === null) return;
    for (const socket of this.sockets) socket.close();
    for (const stream of this.streams) stream.reset();
    await this.link.close();
    if (this.streams.size > 0) {
      await new Promise<void>((resolve) => {
        this.streamsGone = resolve;
      });
    }
    this.timers.clear();
    context.arena.give(this.padAt, PAD_LEN, this.account);
  }

  private started(): HostContext {
    assert(this.context !== null, 'a host is started before it is used');
    return this.context;
  }
}

/** `1.1.1.1`, `10.0.0.1:5353`, `2606:4700::1111`, `[::1]:53`. */
function resolverOf(text: string, name: string): Endpoint {
  const [, bracketed, withPort, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const addr = parseIp(bracketed ?? withPort ?? text);
  const number = port === undefined ? DNS_PORT : Number(port);
  if (addr === null || number < 1 || number > 65_535)
    throw new Error(`${name}: '${text}' is no address, with or without a port`);
  return { addr, port: number };
}
