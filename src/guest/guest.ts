// The embedded guest: a small machine at the other end of a cable in memory, for `usernet demo`, for tests, and for
// embedders who want to talk to a network without an emulator. It is the mirror of the gateway and uses the same parts:
// base/ for memory and time, wire/ for headers, ip/output.ts and ip/reassembly.ts, and tcp/ in both roles.
//
// boot() asks for a lease, probes the address and takes it; configure() takes one without asking. From then on there are
// TCP connections and listeners, UDP ports and pings. Frames come in through the link inside a turn (input.ts), what is
// to be sent goes out at the turn's end. close() pulls the cable and leaves nothing behind: no timer, no byte of arena.

import { type Endpoint, formatIpv4Word, ipv4Addr, type Mac } from '../base/addr.ts';
import { Account } from '../base/arena.ts';
import type { Ms } from '../base/clock.ts';
import { type Drop, DropCounters } from '../base/drop.ts';
import { Ipv4Output, Route } from '../ip/output.ts';
import { Reassembly } from '../ip/reassembly.ts';
import { sendUdp } from '../ip/udp-ports.ts';
import type { Link, LinkSink } from '../link/link.ts';
import { newCongestion } from '../tcp/controls.ts';
import { TcpCounters } from '../tcp/counters.ts';
import { Isn } from '../tcp/isn.ts';
import type { TcpEnv } from '../tcp/tcb.ts';
import * as user from '../tcp/user.ts';
import { pseudoSumIpv4 } from '../wire/checksum.ts';
import * as dhcp from '../wire/dhcp.ts';
import type { DhcpParameters } from '../wire/dhcp-client.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmpv4.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { DhcpClientMachine } from './dhcp-client.ts';
import type { GuestHost } from './guest-host.ts';
import type { GuestOptions, Ipv4Config, Lease } from './guest-options.ts';
import { GuestInput } from './input.ts';
import { GuestNeighbours } from './neighbours.ts';
import { SocketTable } from './socket-table.ts';
import { type Acceptor, GuestSocket, type GuestSocketEvents, type SocketOwner } from './tcp-socket.ts';
import { type GuestUdpEvents, GuestUdpSocket, type UdpOwner } from './udp-socket.ts';

export type { GuestOptions, Ipv4Config, Lease };

const DEFAULT_FLOW_BYTES = 1 << 20;
const DEFAULT_TIME_WAIT: Ms = 10_000;
const DEFAULT_MTU = 1500;
const DEFAULT_MASK = -256;
const BROADCAST_MAC: Mac = { hi: 0xffff, lo: -1 };
/** RFC 6761 and RFC 7042: locally administered, not a group. */
const LOCAL_MAC = 0x0200;

export class EmbeddedGuest implements LinkSink, SocketOwner, UdpOwner {
  readonly mac: Mac;
  readonly turn: GuestHost['turn'];
  readonly account = new Account();
  readonly drops = new DropCounters();
  readonly counters = new TcpCounters();
  readonly sockets: SocketTable;
  readonly neighbours: GuestNeighbours;
  readonly reassembly: Reassembly;
  env: TcpEnv;
  output: Ipv4Output;
  /** null before boot() or configure(), and when the lease was lost. */
  config: Ipv4Config | null = null;
  /** The latest lease; null without one. */
  lease: Lease | null = null;
  framesIn = 0;
  framesOut = 0;
  /** Echo requests sent, echo replies that came. */
  pings = 0;
  pingReplies = 0;
  private readonly host: GuestHost;
  private readonly options: GuestOptions;
  private readonly link: Link;
  private readonly dhcp: DhcpClientMachine;
  private readonly input: GuestInput;
  private readonly isn: Isn;
  private readonly waiting = new Set<GuestSocket>();
  private booting: { resolve(lease: Lease): void; reject(error: Error): void } | null = null;
  private closed = false;

  constructor(options: GuestOptions) {
    const { host, random, link } = options;
    this.options = options;
    this.host = host;
    this.turn = host.turn;
    this.link = link;
    this.mac = options.mac ?? { hi: LOCAL_MAC | (random.word() & 0xff), lo: random.word() };
    this.sockets = new SocketTable(random);
    this.isn = new Isn(random);
    this.neighbours = new GuestNeighbours(host.arena, host.timers, this, this.mac);
    this.reassembly = new Reassembly(host.arena, host.timers, this.drops);
    this.dhcp = new DhcpClientMachine(
      {
        sendDhcp: (payload, from, to) => this.sendDhcp(payload, from, to),
        probe: (address, now, done) => this.neighbours.probe(address, now, done),
        onBound: (parameters) => this.bound(parameters),
        onLost: () => this.unconfigure(),
        onNoServer: () => this.bootFailed('no DHCP server has answered'),
      },
      ...([host.timers, random, this.mac, options.hostname ?? null] as const),
    );
    const mtu = Math.min(DEFAULT_MTU, link.maxFrame - ethernet.HEADER_LEN);
    this.env = this.envFor(mtu);
    this.output = new Ipv4Output(host.arena, mtu, random);
    this.input = new GuestInput(this, host.arena);
    link.attach(this, host);
  }

  /**
   * Gets a lease and uses it. Rejects when no server answers within a minute, when the guest is closed or released
   * meanwhile, and while it is booting already.
   */
  boot(): Promise<Lease> {
    return new Promise((resolve, reject) => {
      if (this.closed || this.booting !== null) {
        reject(new Error(this.closed ? 'the guest is closed' : 'the guest is booting already'));
        return;
      }
      this.booting = { resolve, reject };
      this.turn.run(() => this.dhcp.start(this.turn.now));
    });
  }

  /** Uses an address without asking anybody. */
  configure(config: Ipv4Config): void {
    const mtu = Math.min(config.mtu, this.link.maxFrame - ethernet.HEADER_LEN);
    const changed = this.config?.address !== config.address || this.output.mtu !== mtu;
    this.config = config;
    if (!changed) return;
    this.env = this.envFor(mtu);
    this.output = new Ipv4Output(this.host.arena, mtu, this.options.random);
    this.neighbours.address = config.address;
    this.turn.run(() => this.neighbours.announce());
  }

  /**
   * Opens a connection: `events` hears what becomes of it. `ownPort`: default one that is free. Throws where there is no
   * address or no port.
   */
  connectTcp(peer: Endpoint, events: GuestSocketEvents, ownPort = 0): GuestSocket {
    const config = this.configured();
    const port = ownPort === 0 ? this.sockets.freePort() : ownPort;
    if (port === 0 || this.sockets.find(port, peer.addr.w3, peer.port) !== undefined)
      throw new Error(`tcp port ${port} is in use`);
    const socket = this.newSocket(config, port, peer, events);
    const now = this.now();
    user.connect(socket.tcb, now);
    this.findHop(peer.addr.w3, now, (mac) => {
      if (mac === null) socket.unreachable();
      else socket.setRoute(this.routeTo(peer.addr.w3, mac));
    });
    return socket;
  }

  /** Takes connections to `port`; the returned function stops that. Throws where the port is taken. */
  listenTcp(port: number, acceptor: Acceptor): () => void {
    if (this.sockets.listeners.has(port)) throw new Error(`tcp port ${port} is in use`);
    this.sockets.listeners.set(port, acceptor);
    return () => {
      if (this.sockets.listeners.get(port) === acceptor) this.sockets.listeners.delete(port);
    };
  }

  /** A UDP port; 0: one that is free. Throws where it is taken. */
  openUdp(events: GuestUdpEvents, port = 0): GuestUdpSocket {
    const own = port === 0 ? this.sockets.freePort() : port;
    if (own === 0 || this.sockets.udp.has(own)) throw new Error(`udp port ${own} is in use`);
    const socket = new GuestUdpSocket(this, own, events);
    this.sockets.udp.set(own, socket);
    return socket;
  }

  /** Sends one ICMP echo request with `len` bytes. What comes back is counted in pingReplies. RFC 792. */
  ping(address: number, len = 56): void {
    this.configured();
    this.turn.run(() => {
      this.findHop(address, this.turn.now, (mac) => {
        if (mac !== null) this.sendEcho(this.routeTo(address, mac), len);
      });
    });
  }

  /** Gives the lease back to its server. Connections stay, and are of no use any more. */
  release(): void {
    this.turn.run(() => this.dhcp.release(this.turn.now));
    this.unconfigure();
    this.bootFailed('the guest was released');
  }

  /** Pulls the cable and forgets everything: no event follows, no timer is left. Idempotent. */
  close(): void {
    this.shutDown(null);
    void this.link.close();
  }

  /** A path to `dst` for what is the same in each frame. */
  routeTo(dst: number, mac: Mac, src = this.config?.address ?? 0): Route {
    return new Route(this, this.mac, src, mac, dst);
  }

  /** The socket of a connection between `ownPort` and `peer`; also called for what others begin. */
  newSocket(
    config: Ipv4Config,
    ownPort: number,
    peer: Endpoint,
    taker: GuestSocketEvents | Acceptor,
  ): GuestSocket {
    const own: Endpoint = { addr: ipv4Addr(config.address), port: ownPort };
    const tuple = Int32Array.of(config.address, peer.addr.w3, (ownPort << 16) | peer.port);
    const init = {
      pseudoSum: pseudoSumIpv4(config.address, peer.addr.w3, ipv4.Protocol.Tcp),
      iss: this.options.iss?.() ?? this.isn.next(tuple, this.now()),
      tsOffset: this.options.random.word(),
    };
    const socket = new GuestSocket(this, this.output, { own, peer }, init, taker);
    this.sockets.add(socket);
    return socket;
  }

  /** @internal */
  onDhcp(message: dhcp.DhcpMessage, now: Ms): void {
    this.dhcp.onMessage(message, now);
  }

  // LinkSink

  onFrame(off: number, len: number): Drop {
    this.framesIn++;
    const verdict = this.input.onFrame(off, len, this.turn.now);
    this.drops.verdict(verdict);
    return verdict;
  }

  onLinkWritable(): void {
    for (const socket of this.waiting) this.turn.wantEgress(socket);
    this.waiting.clear();
  }

  onLinkDown(): void {
    this.shutDown('down');
  }

  // FrameOut: what ip/ and ARP send by.

  /** @internal */
  reserve(maxLen: number): number {
    return this.link.reserve(maxLen);
  }

  /** @internal */
  extend(len: number, count: number): number {
    const fit = this.link.extend?.(len, count) ?? 0;
    this.framesOut += fit;
    return fit;
  }

  /** @internal */
  commit(len: number): void {
    this.framesOut++;
    this.link.commit(len);
  }

  // SocketOwner, UdpOwner

  /** @internal */
  now(): Ms {
    return this.host.clock.now();
  }

  /** @internal */
  waitForRoom(socket: GuestSocket): void {
    this.waiting.add(socket);
  }

  /** @internal */
  forget(socket: GuestSocket): void {
    this.waiting.delete(socket);
    this.sockets.delete(socket);
  }

  /** @internal */
  sendUdp(fromPort: number, to: Endpoint, payload: Uint8Array): void {
    this.configured();
    const known = this.hopMac(to.addr.w3);
    // What waits for ARP is copied: the caller's bytes are lent.
    const bytes = known === null ? Uint8Array.from(payload) : payload;
    this.turn.run(() => {
      this.findHop(to.addr.w3, this.turn.now, (mac) => {
        if (mac !== null) this.sendDatagram(this.routeTo(to.addr.w3, mac), fromPort, to.port, bytes);
      });
    });
  }

  /** @internal */
  forgetUdp(socket: GuestUdpSocket): void {
    if (this.sockets.udp.get(socket.port) === socket) this.sockets.udp.delete(socket.port);
  }

  private sendDatagram(route: Route, from: number, to: number, payload: Uint8Array): void {
    sendUdp(this.host.arena, this.output, this.drops, route, from, to, payload);
  }

  private sendDhcp(payload: Uint8Array, from: number, to: number): void {
    const send = (mac: Mac | null): void => {
      if (mac === null) return;
      this.sendDatagram(this.routeTo(to, mac, from), dhcp.CLIENT_PORT, dhcp.SERVER_PORT, payload);
    };
    if (to === -1) send(BROADCAST_MAC);
    else this.findHop(to, this.turn.now, send);
  }

  private sendEcho(route: Route, len: number): void {
    const at = this.output.reserve(route, icmp.HEADER_LEN + len);
    if (at < 0) return;
    const { memory } = this.host.arena;
    for (let i = 0; i < len; i++) memory.view.setUint8(at + icmp.HEADER_LEN + i, i);
    this.pings++;
    // An echo's header is laid out as an error's: identifier and sequence number are the last four bytes.
    icmp.writeError(memory, at, icmp.Type.Echo, 0, (1 << 16) | (this.pings & 0xffff), len);
    this.output.commit(route, ipv4.Protocol.Icmp, icmp.HEADER_LEN + len);
  }

  /** Whose MAC a packet to `address` goes to: RFC 1122 3.3.1.1. -1: everybody's, 0: there is no way. */
  private hopOf(address: number): number {
    const { config } = this;
    if (config === null) return 0;
    if (address === -1 || address === (config.address | ~config.mask)) return -1;
    return (address & config.mask) === (config.address & config.mask) ? address : (config.router ?? 0);
  }

  private hopMac(address: number): Mac | null {
    const hop = this.hopOf(address);
    return hop === -1 ? BROADCAST_MAC : this.neighbours.get(hop);
  }

  private findHop(address: number, now: Ms, found: (mac: Mac | null) => void): void {
    const hop = this.hopOf(address);
    if (hop === -1) found(BROADCAST_MAC);
    else if (hop === 0) found(null);
    else this.neighbours.find(hop, now, found);
  }

  private bound(parameters: DhcpParameters): void {
    const lease: Lease = {
      address: parameters.address,
      mask: parameters.subnetMask ?? DEFAULT_MASK,
      router: parameters.routers[0] ?? null,
      mtu: parameters.mtu ?? DEFAULT_MTU,
      text: formatIpv4Word(parameters.address),
      parameters,
    };
    this.lease = lease;
    this.configure(lease);
    this.booting?.resolve(lease);
    this.booting = null;
  }

  private unconfigure(): void {
    this.config = null;
    this.lease = null;
    this.neighbours.address = 0;
  }

  private bootFailed(why: string): void {
    this.booting?.reject(new Error(why));
    this.booting = null;
  }

  private configured(): Ipv4Config {
    if (this.closed || this.config === null) throw new Error('the guest has no address');
    return this.config;
  }

  private envFor(mtu: number): TcpEnv {
    const { arena, timers } = this.host;
    return {
      ...{ arena, timers, drops: this.drops, counters: this.counters, mtu },
      flowBytes: this.options.flowBytes ?? DEFAULT_FLOW_BYTES,
      timeWait: this.options.timeWait ?? DEFAULT_TIME_WAIT,
      pacing: true,
      newCongestion: () => newCongestion('cubic'),
    };
  }

  private shutDown(reason: 'down' | null): void {
    if (this.closed) return;
    this.closed = true;
    this.dhcp.stop();
    this.neighbours.close();
    for (const socket of this.sockets.sockets()) socket.drop(reason);
    this.sockets.listeners.clear();
    this.sockets.udp.clear();
    this.reassembly.clear();
    this.waiting.clear();
    this.unconfigure();
    this.bootFailed('the guest is closed');
  }
}
