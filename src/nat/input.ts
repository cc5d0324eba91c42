// TCP and UDP from guests: check the transport header, find the flow or open one. What IP calls upwards (TransportInput).

import { type Endpoint, ipv4Addr } from '../base/addr.ts';
import type { Ms } from '../base/clock.ts';
import { Drop, Loss } from '../base/drop.ts';
import { Work } from '../base/turn.ts';
import type { HostStream, HostStreamEvents } from '../host/host-network.ts';
import { TcpRoute } from '../ip/output.ts';
import type { Packet } from '../ip/packet.ts';
import type { UdpPeer, UdpPorts } from '../ip/udp-ports.ts';
import { segmentArrives } from '../tcp/input.ts';
import { passiveOpen } from '../tcp/input-handshake.ts';
import { takePredicted } from '../tcp/predicted.ts';
import { resetFor } from '../tcp/reset.ts';
import { Segment } from '../tcp/segment.ts';
import { seqLt } from '../tcp/seq.ts';
import { pseudoSumIpv4 } from '../wire/checksum.ts';
import { Code } from '../wire/icmpv4.ts';
import { Protocol } from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import { Flag } from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';
import type { NatContext } from './context.ts';
import { KEY_WORDS, setKey } from './flow-table.ts';
import { Flows } from './flows.ts';
import type { TcpFlow } from './tcp-flow.ts';
import { Train } from './train.ts';
import type { UdpFlow } from './udp-flow.ts';

/** A service of the gateway that takes connections. */
export type TcpService = (events: HostStreamEvents, from: UdpPeer) => HostStream;

/** Answers of forwarded UDP ports. */
export interface UdpForwards {
  /** The verdict on a guest's datagram that answers the client of a forward; null when it does not. */
  reply(p: Packet, off: number, len: number, now: Ms): Drop | null;
}

export class NatInput {
  readonly flows: Flows;
  readonly train: Train;
  /** Set when there are UDP forwards. */
  udpForwards: UdpForwards | null = null;
  private readonly context: NatContext;
  private readonly udpPorts: UdpPorts;
  /** By address times 65536 plus port. */
  private readonly tcpServices = new Map<number, TcpService>();
  private readonly segment = new Segment();
  private readonly key = new Int32Array(KEY_WORDS);
  private readonly datagram = new LastDatagram();

  constructor(context: NatContext, udpPorts: UdpPorts) {
    this.context = context;
    this.udpPorts = udpPorts;
    this.flows = new Flows(context);
    this.train = new Train(context.arena, context.turn);
  }

  /** False when the port is taken. */
  bindTcp(address: number, port: number, service: TcpService): boolean {
    const key = serviceKey(address, port);
    if (this.tcpServices.has(key)) return false;
    this.tcpServices.set(key, service);
    return true;
  }

  unbindTcp(address: number, port: number): void {
    this.tcpServices.delete(serviceKey(address, port));
  }

  onTcp(p: Packet, now: Ms): Drop {
    const { memory } = this.context.arena;
    const v = memory.view;
    const len = p.end - p.l4;
    const misshapen = tcp.checkShape(v, p.l4, len);
    if (misshapen !== Drop.None) return misshapen;
    const pseudo = pseudoSumIpv4(p.src, p.dst, Protocol.Tcp);
    setKey(this.key, p.src, tcp.srcPort(v, p.l4), p.dst, tcp.dstPort(v, p.l4), Protocol.Tcp, p.ingress);
    this.segment.read(memory, p.l4, p.end);
    const flow = this.flows.tcp.find(this.key);
    const quick = flow === undefined ? null : takePredicted(flow.tcb, this.segment, p.l4, len, pseudo, now);
    if (quick !== null) {
      if (quick === Drop.None) this.train.begin(flow!.tcb, p);
      return quick;
    }
    const bad = tcp.checkSum(memory, p.l4, len, pseudo);
    if (bad !== Drop.None) return bad;
    if (flow === undefined) return this.withoutFlow(p, now);
    if (flow.tcb.state === 'TIME-WAIT' && this.beginsAnew(flow)) {
      flow.retire();
      return this.withoutFlow(p, now, flow.tcb.sndUna);
    }
    return segmentArrives(flow.tcb, this.segment, now);
  }

  onUdp(p: Packet, now: Ms): Drop {
    const { context } = this;
    const { memory } = context.arena;
    const bad = udp.check(memory, p.l4, p.end - p.l4, pseudoSumIpv4(p.src, p.dst, Protocol.Udp));
    if (bad !== Drop.None) return bad;
    const v = memory.view;
    const from = udp.srcPort(v, p.l4);
    const to = udp.dstPort(v, p.l4);
    const off = p.l4 + udp.HEADER_LEN;
    const len = udp.payloadLen(v, p.l4);
    const before = this.datagram.flowOf(p, from, to, context.turn.count);
    if (before !== null) {
      context.turn.spend(Work.Datagram);
      return before.send(p.dst, to, off, len, now);
    }
    if (context.addresses.isOwn(p.dst) || context.addresses.isBroadcast(p.dst)) {
      const verdict = this.udpPorts.deliver(p, now);
      if (verdict !== Drop.UdpNoService || context.addresses.isBroadcast(p.dst)) return verdict;
    }
    context.turn.spend(Work.Datagram);
    const reply = this.udpForwards?.reply(p, off, len, now) ?? null;
    if (reply !== null) return reply;
    setKey(this.key, p.src, from, 0, 0, Protocol.Udp, p.ingress);
    let flow = this.flows.udp.find(this.key);
    if (flow === undefined || !flow.knows(p.dst, to)) {
      const judgement = context.policy.judge(p.dst);
      if (judgement !== 'allow') {
        const refused = judgement === 'refused';
        context.icmp.unreachable(this.routeBack(p), refused ? Code.Port : Code.Prohibited, p, now);
        return refused ? Drop.UdpNoService : Drop.PolicyDenied;
      }
      flow ??= this.newUdp(p, from, to);
      if (flow === undefined) return Drop.NetworkClosed;
      if (flow.isEnded) return Drop.PolicyDenied;
    }
    // A forward may get a client within the turn.
    if (this.udpForwards === null) this.datagram.remember(flow, p, from, to, context.turn.count);
    return flow.send(p.dst, to, off, len, now);
  }

  /** It has ended where whoever heard of it has ended it. */
  private newUdp(p: Packet, from: number, to: number): UdpFlow | undefined {
    const flow = this.flows.openUdp(p, this.key, from, to) ?? undefined;
    if (flow !== undefined) this.flows.announce(flow);
    return flow;
  }

  /** RFC 9293 3.6.1 (MAY-2), RFC 6191 2: a SYN beyond everything the old connection said opens a new one. */
  private beginsAnew({ tcb }: TcpFlow): boolean {
    const { segment } = this;
    if (!segment.has(Flag.Syn) || segment.has(Flag.Ack | Flag.Rst)) return false;
    const isBeyond = seqLt(tcb.rcvNxt, segment.seq);
    if (!tcb.timestamps || !segment.options.hasTimestamps) return isBeyond;
    const { tsVal } = segment.options;
    return seqLt(tcb.tsRecent, tsVal) || (tcb.tsRecent === tsVal && isBeyond);
  }

  /** RFC 9293 3.10.7.1, 3.10.7.2. `used`: end of what the connection before this one has sent. */
  private withoutFlow(p: Packet, now: Ms, used: number | null = null): Drop {
    const { segment } = this;
    if ((segment.flags & (Flag.Syn | Flag.Ack | Flag.Rst | Flag.Fin)) !== Flag.Syn) {
      if (!segment.has(Flag.Rst)) this.reset(p);
      return Drop.TcpNoFlow;
    }
    const v = this.context.arena.memory.view;
    const to = tcp.dstPort(v, p.l4);
    const service = this.tcpServices.get(serviceKey(p.dst, to));
    if (service === undefined) {
      const judgement = this.context.policy.judge(p.dst);
      if (judgement !== 'allow') {
        this.reset(p);
        return judgement === 'refused' ? Drop.TcpNoFlow : Drop.PolicyDenied;
      }
    }
    const guest = this.flows.guest(p.ingress);
    if (guest === undefined) return Drop.NetworkClosed;
    if ((service === undefined && !this.flows.mayConnect(guest)) || !this.flows.mayOpenTcp(guest)) {
      this.reset(p);
      return Drop.TcpFlowsFull;
    }
    const flow = this.openTcp(p, now, used);
    if (service !== undefined) {
      flow.startOpen(service(flow, this.peerOf(p)));
    } else {
      this.context.turn.spend(Work.HostSocket);
      flow.startConnecting(this.context.host.connectTcp(this.context.policy.toHost(p.dst, to), flow));
    }
    this.flows.announce(flow);
    return Drop.None;
  }

  private openTcp(p: Packet, now: Ms, used: number | null): TcpFlow {
    const { context, flows } = this;
    const v = context.arena.memory.view;
    const guest: Endpoint = { addr: ipv4Addr(p.src), port: tcp.srcPort(v, p.l4) };
    const remote: Endpoint = { addr: ipv4Addr(p.dst), port: tcp.dstPort(v, p.l4) };
    const flow = flows.openTcp(p.ingress, this.key, { guest, remote, route: this.routeBack(p) }, now, used);
    context.neighbours.notice(p.src, p.macHi, p.macLo, p.ingress);
    passiveOpen(flow.tcb, this.segment, now);
    return flow;
  }

  /** RST for a segment without a flow. */
  private reset(p: Packet): void {
    const { context } = this;
    context.turn.spend(Work.Step);
    const route = this.routeBack(p);
    const at = context.output.reserve(route, tcp.MIN_HEADER_LEN);
    if (at < 0) {
      context.drops.lose(Loss.LinkQueueFull);
      return;
    }
    const v = context.arena.memory.view;
    const [own, theirs] = [tcp.dstPort(v, p.l4), tcp.srcPort(v, p.l4)];
    resetFor(context.arena.memory, at, own, theirs, pseudoSumIpv4(p.src, p.dst, Protocol.Tcp), this.segment);
    context.output.commit(route, Protocol.Tcp, tcp.MIN_HEADER_LEN);
    context.tcp.counters.resetsOut++;
  }

  private routeBack(p: Packet): TcpRoute {
    const port = this.context.ports.port(p.ingress) ?? NOWHERE;
    const { output, addresses } = this.context;
    const mac = { hi: p.macHi, lo: p.macLo };
    return new TcpRoute(output, port, addresses.macOf(p.dst), p.dst, mac, p.src);
  }

  private peerOf(p: Packet): UdpPeer {
    const port = tcp.srcPort(this.context.arena.memory.view, p.l4);
    return { addr: ipv4Addr(p.src), port, mac: { hi: p.macHi, lo: p.macLo }, ingress: p.ingress };
  }
}

/** Of a burst of datagrams, in one turn, the second goes where the first did: nothing else has to be asked. */
class LastDatagram {
  private flow: UdpFlow | null = null;
  private turnCount = -1;
  private ingress = 0;
  private src = 0;
  private dst = 0;
  private from = 0;
  private to = 0;

  remember(flow: UdpFlow, p: Packet, from: number, to: number, turnCount: number): void {
    this.flow = flow;
    this.turnCount = turnCount;
    this.ingress = p.ingress;
    this.src = p.src;
    this.dst = p.dst;
    this.from = from;
    this.to = to;
  }

  /** The flow of the one that was remembered, if that came in this turn from and to the same as `p`; else null. */
  flowOf(p: Packet, from: number, to: number, turnCount: number): UdpFlow | null {
    const same =
      this.turnCount === turnCount &&
      this.from === from &&
      this.to === to &&
      this.src === p.src &&
      this.dst === p.dst &&
      this.ingress === p.ingress;
    return same && this.flow?.isEnded === false ? this.flow : null;
  }
}

/** The way to a guest whose port has gone. */
const NOWHERE = { reserve: () => -1, commit: () => {} };

function serviceKey(address: number, port: number): number {
  return (address >>> 0) * 65536 + port;
}
