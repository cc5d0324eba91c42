// The guest of the path benchmarks: frames written straight into the arena, no stack behind them.

import { finish, pseudoSumIpv4 } from '../src/wire/checksum.ts';
import * as ethernet from '../src/wire/ethernet.ts';
import * as ipv4 from '../src/wire/ipv4.ts';
import * as tcp from '../src/wire/tcp.ts';
import { Flag } from '../src/wire/tcp.ts';
import * as options from '../src/wire/tcp-options.ts';
import * as udp from '../src/wire/udp.ts';
import type { BenchEngine, BenchStream } from './engine.ts';

export const GUEST = 0x0a00020f;
export const GATEWAY = 0x0a000202;
const GUEST_MAC = { hi: 0x5254, lo: 0x00123456 };
const GATEWAY_MAC = { hi: 0x5255, lo: GATEWAY };
const MSS_OPTION_LEN = 4;
const L4 = ethernet.HEADER_LEN + ipv4.MIN_HEADER_LEN;

/** Writes Ethernet and IPv4 headers of a packet from the guest to the gateway; the offset of what is behind them. */
export function writeHeaders(engine: BenchEngine, at: number, proto: number, len: number): number {
  const v = engine.network.arena.memory.view;
  ethernet.write(v, at, GATEWAY_MAC.hi, GATEWAY_MAC.lo, GUEST_MAC.hi, GUEST_MAC.lo, ethernet.EtherType.Ipv4);
  ipv4.write(v, at + ethernet.HEADER_LEN, len, 1, proto, GUEST, GATEWAY);
  return at + L4;
}

/** A UDP datagram of `payload` bytes; the length of its frame. */
export function writeUdp(engine: BenchEngine, at: number, from: number, to: number, payload: number): number {
  const { memory } = engine.network.arena;
  const l4 = writeHeaders(engine, at, ipv4.Protocol.Udp, udp.HEADER_LEN + payload);
  const pseudo = pseudoSumIpv4(GUEST, GATEWAY, ipv4.Protocol.Udp);
  udp.write(memory.view, l4, from, to, payload, pseudo + memory.sum(l4 + udp.HEADER_LEN, payload));
  return L4 + udp.HEADER_LEN + payload;
}

/** One TCP connection of the guest to a host that is open: frames with the right numbers, nothing else. */
export class BenchConnection {
  readonly stream: BenchStream;
  private readonly engine: BenchEngine;
  private readonly port: number;
  private seq = 1000;
  private ack = 0;
  private readonly pseudo = pseudoSumIpv4(GUEST, GATEWAY, ipv4.Protocol.Tcp);

  private constructor(engine: BenchEngine, port: number, stream: BenchStream) {
    this.engine = engine;
    this.port = port;
    this.stream = stream;
  }

  /** `mtu`: of the guest; its SYN tells what it makes of it as the MSS. */
  static async open(engine: BenchEngine, port: number, mtu = 1500): Promise<BenchConnection> {
    const { link, host } = engine;
    const before = host.streams.length;
    const syn = new BenchConnection(engine, port, null as never);
    syn.give(syn.writeSyn(link.incoming, mtu - ipv4.MIN_HEADER_LEN - tcp.MIN_HEADER_LEN));
    await new Promise((resolve) => setImmediate(resolve));
    const open = new BenchConnection(engine, port, host.streams[before]!);
    open.seq = 1001;
    open.ack = (tcp.seq(engine.network.arena.memory.view, link.lastFrame + L4) + 1) | 0;
    open.give(open.write(link.incoming, 0, Flag.Ack, 65535));
    return open;
  }

  /** Writes a segment with `payload` bytes at `at`; the length of its frame. */
  write(at: number, payload: number, flags: number, window: number): number {
    const { memory } = this.engine.network.arena;
    const len = tcp.MIN_HEADER_LEN + payload;
    const l4 = writeHeaders(this.engine, at, ipv4.Protocol.Tcp, len);
    tcp.write(memory.view, l4, this.port, 80, this.seq, this.ack, tcp.MIN_HEADER_LEN, flags, window);
    tcp.setChecksum(memory.view, l4, finish(this.pseudo + len + memory.sum(l4, len)));
    this.seq = (this.seq + payload) | 0;
    return L4 + len;
  }

  private writeSyn(at: number, mss: number): number {
    const { memory } = this.engine.network.arena;
    const len = tcp.MIN_HEADER_LEN + MSS_OPTION_LEN;
    const l4 = writeHeaders(this.engine, at, ipv4.Protocol.Tcp, len);
    tcp.write(memory.view, l4, this.port, 80, this.seq, 0, len, Flag.Syn, 65535);
    options.writeMss(memory.view, l4 + tcp.MIN_HEADER_LEN, mss);
    tcp.setChecksum(memory.view, l4, finish(this.pseudo + len + memory.sum(l4, len)));
    return L4 + len;
  }

  /** Acknowledges all that has come. */
  acknowledge(): void {
    const { network, link } = this.engine;
    const v = network.arena.memory.view;
    const ip = link.lastFrame + ethernet.HEADER_LEN;
    const l4 = link.lastFrame + L4;
    const payload = ipv4.totalLen(v, ip) - ipv4.MIN_HEADER_LEN - tcp.headerLen(v, l4);
    this.ack = (tcp.seq(v, l4) + payload) | 0;
    this.give(this.write(link.incoming, 0, Flag.Ack, 65535));
  }

  private give(len: number): void {
    const { network, link } = this.engine;
    network.turn.run(() => link.sink.onFrame(link.incoming, len));
  }
}
