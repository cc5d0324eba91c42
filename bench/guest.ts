// The guests of the path benchmarks: frames written straight into the arena, no stack behind them.

import type { Link } from '../src/link/link.ts';
import { finish, pseudoSumIpv4 } from '../src/wire/checksum.ts';
import * as ethernet from '../src/wire/ethernet.ts';
import * as ipv4 from '../src/wire/ipv4.ts';
import * as tcp from '../src/wire/tcp.ts';
import { Flag } from '../src/wire/tcp.ts';
import * as options from '../src/wire/tcp-options.ts';
import * as udp from '../src/wire/udp.ts';
import { type BenchEngine, BenchLink, type BenchStream } from './engine.ts';

export const GATEWAY = 0x0a000202;
export const GUEST_MAC_HI = 0x5254;
const GATEWAY_MAC = { hi: 0x5255, lo: GATEWAY };
const FIRST_GUEST = 0x0a00020f;
const FIRST_MAC_LO = 0x00123456;
const MSS_OPTION_LEN = 4;
/** Offset of the transport header in all our frames. */
export const L4 = ethernet.HEADER_LEN + ipv4.MIN_HEADER_LEN;
/** IPv4 and TCP without options: what the MTU leaves is the MSS. */
export const TCP_HEADERS = ipv4.MIN_HEADER_LEN + tcp.MIN_HEADER_LEN;
export const UDP_HEADERS = ipv4.MIN_HEADER_LEN + udp.HEADER_LEN;

/** One machine: its cable and its addresses. */
export class BenchGuest {
  readonly engine: BenchEngine;
  readonly link = new BenchLink();
  readonly address: number;
  readonly macLo: number;
  private givenAt = 0;
  private givenLen = 0;

  /** The `n`th guest of the network, plugged in. `wrap`: what stands between its link and the network. */
  constructor(engine: BenchEngine, n = 0, wrap: (link: Link) => Link = (link) => link) {
    this.engine = engine;
    this.address = FIRST_GUEST + n;
    this.macLo = FIRST_MAC_LO + n;
    engine.network.attach(wrap(this.link));
  }

  /** One frame in a turn of its own, and nothing allocated for it: what the heap grows by is to be the engine's. */
  give(off: number, len: number): void {
    this.givenAt = off;
    this.givenLen = len;
    this.engine.network.turn.run(this.passOn);
  }

  private readonly passOn = (): void => {
    this.link.sink.onFrame(this.givenAt, this.givenLen);
  };

  /** Writes Ethernet and IPv4 headers of a packet to the gateway; the offset of what is behind them. */
  writeHeaders(at: number, proto: number, len: number): number {
    const v = this.engine.network.arena.memory.view;
    const { Ipv4 } = ethernet.EtherType;
    ethernet.write(v, at, GATEWAY_MAC.hi, GATEWAY_MAC.lo, GUEST_MAC_HI, this.macLo, Ipv4);
    ipv4.write(v, at + ethernet.HEADER_LEN, len, 1, proto, this.address, GATEWAY);
    return at + L4;
  }

  /** A UDP datagram of `payload` bytes; the length of its frame. */
  writeUdp(at: number, from: number, to: number, payload: number): number {
    const { memory } = this.engine.network.arena;
    const l4 = this.writeHeaders(at, ipv4.Protocol.Udp, udp.HEADER_LEN + payload);
    const pseudo = pseudoSumIpv4(this.address, GATEWAY, ipv4.Protocol.Udp);
    udp.write(memory.view, l4, from, to, payload, pseudo + memory.sum(l4 + udp.HEADER_LEN, payload));
    return L4 + udp.HEADER_LEN + payload;
  }
}

/** One TCP connection of the guest to a host that is open: frames with the right numbers, nothing else. */
export class BenchConnection {
  /** Set once it is open. */
  stream!: BenchStream;
  readonly guest: BenchGuest;
  private readonly port: number;
  private seq = 1000;
  private ack = 0;
  private readonly pseudo: number;

  private constructor(guest: BenchGuest, port: number) {
    this.guest = guest;
    this.port = port;
    this.pseudo = pseudoSumIpv4(guest.address, GATEWAY, ipv4.Protocol.Tcp);
  }

  /** `mtu`: of the guest; its SYN tells what it makes of it as the MSS. */
  static async open(guest: BenchGuest, port: number, mtu = 1500): Promise<BenchConnection> {
    const { host } = guest.engine;
    const { incoming } = guest.link;
    const before = host.streams.length;
    const open = new BenchConnection(guest, port);
    guest.give(incoming, open.writeSyn(incoming, mtu - TCP_HEADERS));
    await new Promise((resolve) => setImmediate(resolve));
    open.stream = host.streams[before]!;
    open.seq = 1001;
    open.ack = (tcp.seq(guest.engine.network.arena.memory.view, guest.link.lastFrame + L4) + 1) | 0;
    guest.give(incoming, open.write(incoming, 0));
    return open;
  }

  /** Writes a segment with `payload` bytes at `at`; the length of its frame. */
  write(at: number, payload: number): number {
    const { memory } = this.guest.engine.network.arena;
    const len = tcp.MIN_HEADER_LEN + payload;
    const l4 = this.guest.writeHeaders(at, ipv4.Protocol.Tcp, len);
    tcp.write(memory.view, l4, this.port, 80, this.seq, this.ack, tcp.MIN_HEADER_LEN, Flag.Ack, 65535);
    tcp.setChecksum(memory.view, l4, finish(this.pseudo + len + memory.sum(l4, len)));
    this.seq = (this.seq + payload) | 0;
    return L4 + len;
  }

  private writeSyn(at: number, mss: number): number {
    const { memory } = this.guest.engine.network.arena;
    const len = tcp.MIN_HEADER_LEN + MSS_OPTION_LEN;
    const l4 = this.guest.writeHeaders(at, ipv4.Protocol.Tcp, len);
    tcp.write(memory.view, l4, this.port, 80, this.seq, 0, len, Flag.Syn, 65535);
    options.writeMss(memory.view, l4 + tcp.MIN_HEADER_LEN, mss);
    tcp.setChecksum(memory.view, l4, finish(this.pseudo + len + memory.sum(l4, len)));
    return L4 + len;
  }

  /** The next segment will acknowledge all that has come; the last frame must be this connection's. */
  receive(): void {
    const { engine, link } = this.guest;
    const v = engine.network.arena.memory.view;
    const l4 = link.lastFrame + L4;
    const payload =
      ipv4.totalLen(v, link.lastFrame + ethernet.HEADER_LEN) - ipv4.MIN_HEADER_LEN - tcp.headerLen(v, l4);
    this.ack = (tcp.seq(v, l4) + payload) | 0;
  }

  /** Acknowledges all that has come. */
  acknowledge(): void {
    const { incoming } = this.guest.link;
    this.receive();
    this.guest.give(incoming, this.write(incoming, 0));
  }
}
