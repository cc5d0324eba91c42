// What comes in by the guest's cable: Ethernet, ARP, IPv4, and whose TCP segment, datagram or ICMP error it is. The
// verdicts are those of base/drop.ts, seen from this side.

import { type Endpoint, ipv4Addr } from '../base/addr.ts';
import type { Arena } from '../base/arena.ts';
import type { Ms } from '../base/clock.ts';
import { Drop } from '../base/drop.ts';
import { Packet } from '../ip/packet.ts';
import { segmentArrives } from '../tcp/input.ts';
import { passiveOpen } from '../tcp/input-handshake.ts';
import { takePredicted } from '../tcp/predicted.ts';
import { resetFor } from '../tcp/reset.ts';
import { Segment } from '../tcp/segment.ts';
import * as user from '../tcp/user.ts';
import { isValid, pseudoSumIpv4 } from '../wire/checksum.ts';
import * as dhcp from '../wire/dhcp.ts';
import * as ethernet from '../wire/ethernet.ts';
import { EtherType } from '../wire/ethernet.ts';
import * as icmp from '../wire/icmpv4.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { Protocol } from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import { Flag } from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';
import type { EmbeddedGuest } from './guest.ts';

/** Bytes of a transport header that an ICMP error quotes at least: RFC 792. */
const QUOTED = 8;

export class GuestInput {
  private readonly guest: EmbeddedGuest;
  private readonly arena: Arena;
  private readonly packet = new Packet();
  private readonly segment = new Segment();

  constructor(guest: EmbeddedGuest, arena: Arena) {
    this.guest = guest;
    this.arena = arena;
  }

  /** One frame, lent for the call. */
  onFrame(off: number, len: number, now: Ms): Drop {
    const bad = ethernet.check(len);
    if (bad !== Drop.None) return bad;
    const v = this.arena.memory.view;
    const hi = ethernet.dstHi(v, off);
    const { mac } = this.guest;
    if (!ethernet.isGroup(hi) && (hi !== mac.hi || ethernet.dstLo(v, off) !== mac.lo))
      return Drop.EthernetNotForUs;
    const type = ethernet.etherType(v, off);
    const end = off + len;
    if (type === EtherType.Arp) return this.guest.neighbours.input(off + ethernet.HEADER_LEN, end, now);
    if (type !== EtherType.Ipv4) return Drop.EthernetUnknownType;
    const p = this.packet;
    p.macHi = ethernet.srcHi(v, off);
    p.macLo = ethernet.srcLo(v, off);
    p.ip = off + ethernet.HEADER_LEN;
    p.end = end;
    return this.onIpv4(p, now);
  }

  private onIpv4(p: Packet, now: Ms): Drop {
    const { memory } = this.arena;
    const v = memory.view;
    const bad = p.readIpv4(memory);
    if (bad !== Drop.None) return bad;
    if (!this.isForUs(p)) return Drop.Ipv4NotRouted;
    if (!ipv4.isFragment(v, p.ip)) return this.up(p, now);
    const verdict = this.guest.reassembly.add(p, now);
    if (verdict !== 'complete') return verdict;
    const whole = this.up(p, now);
    this.guest.reassembly.release();
    return whole;
  }

  /** RFC 2131 4.1: an offer comes to the address that is being offered. */
  private isForUs(p: Packet): boolean {
    const { config } = this.guest;
    if (p.dst === -1 || config === null) return true;
    return p.dst === config.address || p.dst === (config.address | ~config.mask);
  }

  private up(p: Packet, now: Ms): Drop {
    if (p.proto === Protocol.Udp) return this.onUdp(p, now);
    if (this.guest.config === null) return Drop.Ipv4NotRouted;
    // RFC 9293 3.9.2.3 (MUST-57): a SYN to everybody opens nothing, and gets no answer.
    if (p.proto === Protocol.Tcp)
      return p.dst === this.guest.config.address ? this.onTcp(p, now) : Drop.Ipv4NotRouted;
    if (p.proto === Protocol.Icmp) return this.onIcmp(p);
    return Drop.Ipv4UnknownProtocol;
  }

  private onTcp(p: Packet, now: Ms): Drop {
    const { memory } = this.arena;
    const v = memory.view;
    const len = p.end - p.l4;
    const misshapen = tcp.checkShape(v, p.l4, len);
    if (misshapen !== Drop.None) return misshapen;
    const pseudo = pseudoSumIpv4(p.src, p.dst, Protocol.Tcp);
    this.segment.read(memory, p.l4, p.end);
    const socket = this.guest.sockets.find(tcp.dstPort(v, p.l4), p.src, tcp.srcPort(v, p.l4));
    const quick =
      socket === undefined ? null : takePredicted(socket.tcb, this.segment, p.l4, len, pseudo, now);
    if (quick !== null) return quick;
    const bad = tcp.checkSum(memory, p.l4, len, pseudo);
    if (bad !== Drop.None) return bad;
    return socket === undefined ? this.withoutSocket(p, now) : segmentArrives(socket.tcb, this.segment, now);
  }

  /** RFC 9293 3.10.7.1, 3.10.7.2. */
  private withoutSocket(p: Packet, now: Ms): Drop {
    const { segment, guest } = this;
    const v = this.arena.memory.view;
    const own = tcp.dstPort(v, p.l4);
    const acceptor = guest.sockets.listeners.get(own);
    const isSyn = (segment.flags & (Flag.Syn | Flag.Ack | Flag.Rst | Flag.Fin)) === Flag.Syn;
    if (acceptor === undefined || !isSyn || guest.config === null) {
      if (!segment.has(Flag.Rst)) this.reset(p);
      return Drop.TcpNoFlow;
    }
    const peer: Endpoint = { addr: ipv4Addr(p.src), port: tcp.srcPort(v, p.l4) };
    const socket = guest.newSocket(guest.config, own, peer, acceptor);
    passiveOpen(socket.tcb, segment, now);
    user.accept(socket.tcb);
    socket.setRoute(guest.routeTo(p.src, { hi: p.macHi, lo: p.macLo }));
    return Drop.None;
  }

  private reset(p: Packet): void {
    const { memory } = this.arena;
    const route = this.guest.routeTo(p.src, { hi: p.macHi, lo: p.macLo });
    const at = this.guest.output.reserve(route, tcp.MIN_HEADER_LEN);
    if (at < 0) return;
    const [own, theirs] = [tcp.dstPort(memory.view, p.l4), tcp.srcPort(memory.view, p.l4)];
    resetFor(memory, at, own, theirs, pseudoSumIpv4(p.src, p.dst, Protocol.Tcp), this.segment);
    this.guest.output.commit(route, Protocol.Tcp, tcp.MIN_HEADER_LEN);
    this.guest.counters.resetsOut++;
  }

  private onUdp(p: Packet, now: Ms): Drop {
    const { memory } = this.arena;
    const bad = udp.check(memory, p.l4, p.end - p.l4, pseudoSumIpv4(p.src, p.dst, Protocol.Udp));
    if (bad !== Drop.None) return bad;
    const v = memory.view;
    const [from, to] = [udp.srcPort(v, p.l4), udp.dstPort(v, p.l4)];
    const [off, len] = [p.l4 + udp.HEADER_LEN, udp.payloadLen(v, p.l4)];
    if (from === dhcp.SERVER_PORT && to === dhcp.CLIENT_PORT) {
      const message = dhcp.parse(v, off, len);
      if (message === null) return Drop.DhcpMalformed;
      this.guest.onDhcp(message, now);
      return Drop.None;
    }
    const socket = this.guest.config === null ? undefined : this.guest.sockets.udp.get(to);
    if (socket === undefined) return Drop.UdpNoService;
    socket.events.onDatagram?.(memory.bytes.subarray(off, off + len), { addr: ipv4Addr(p.src), port: from });
    return Drop.None;
  }

  /** Echo replies are counted; an error goes to the socket that it is about. RFC 1122 3.2.2. */
  private onIcmp(p: Packet): Drop {
    const { memory } = this.arena;
    const v = memory.view;
    const len = p.end - p.l4;
    if (len < icmp.HEADER_LEN || !isValid(memory.sum(p.l4, len))) return Drop.Ipv4BadLength;
    const type = icmp.type(v, p.l4);
    if (type === icmp.Type.EchoReply) {
      this.guest.pingReplies++;
      return Drop.None;
    }
    if (type !== icmp.Type.Unreachable) return Drop.IcmpByDesign;
    return this.onUnreachable(icmp.code(v, p.l4), p.l4 + icmp.HEADER_LEN, p.end);
  }

  private onUnreachable(code: number, quoted: number, end: number): Drop {
    const v = this.arena.memory.view;
    if (end - quoted < ipv4.MIN_HEADER_LEN) return Drop.Ipv4BadLength;
    const l4 = quoted + ipv4.headerLen(v, quoted);
    if (l4 + QUOTED > end) return Drop.Ipv4BadLength;
    const proto = ipv4.protocol(v, quoted);
    const peer = ipv4.dst(v, quoted);
    // Both headers begin with the ports.
    const [own, port] = [udp.srcPort(v, l4), udp.dstPort(v, l4)];
    if (proto === Protocol.Udp) {
      const socket = this.guest.sockets.udp.get(own);
      if (socket === undefined) return Drop.UdpNoService;
      socket.events.onUnreachable?.(code, { addr: ipv4Addr(peer), port });
      return Drop.None;
    }
    const socket = proto === Protocol.Tcp ? this.guest.sockets.find(own, peer, port) : undefined;
    // RFC 5927 4.1: an error about what is not outstanding is nobody's.
    if (socket === undefined || tcp.seq(v, l4) !== socket.tcb.sndUna) return Drop.TcpNoFlow;
    socket.unreachable();
    return Drop.None;
  }
}
