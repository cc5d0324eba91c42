// The gateway's own UDP ports: DHCP, the name service. What services/ sees as GatewayPorts.

import { ipv4Addr, type Mac } from '../base/addr.ts';
import type { Arena } from '../base/arena.ts';
import type { Ms } from '../base/clock.ts';
import { Drop, type DropCounters, Loss } from '../base/drop.ts';
import type { GuestPorts } from '../base/guest-port.ts';
import { pseudoSumIpv4 } from '../wire/checksum.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import type { Addresses } from './addresses.ts';
import { type Ipv4Output, Route } from './output.ts';
import type { Packet } from './packet.ts';

/** The other side of a datagram; the same shape as services/service.ts Peer. */
export interface UdpPeer {
  readonly addr: ReturnType<typeof ipv4Addr>;
  readonly port: number;
  readonly mac: Mac;
  readonly ingress: number;
}

export type UdpHandler = (off: number, len: number, from: UdpPeer, now: Ms) => Drop;

export class UdpPorts {
  private readonly arena: Arena;
  private readonly addresses: Addresses;
  private readonly ports: GuestPorts;
  private readonly output: Ipv4Output;
  private readonly drops: DropCounters;
  /** By address times 65536 plus port. */
  private readonly handlers = new Map<number, UdpHandler>();

  constructor(
    arena: Arena,
    addresses: Addresses,
    ports: GuestPorts,
    output: Ipv4Output,
    drops: DropCounters,
  ) {
    this.arena = arena;
    this.addresses = addresses;
    this.ports = ports;
    this.output = output;
    this.drops = drops;
  }

  /** False when the port is taken. */
  bind(address: number, port: number, handler: UdpHandler): boolean {
    const key = keyOf(address, port);
    if (this.handlers.has(key)) return false;
    this.handlers.set(key, handler);
    return true;
  }

  unbind(address: number, port: number): void {
    this.handlers.delete(keyOf(address, port));
  }

  /** The datagram in `p`, already checked, to one of the gateway's addresses or to a broadcast address. */
  deliver(p: Packet, now: Ms): Drop {
    const v = this.arena.memory.view;
    const to = this.addresses.isOwn(p.dst) ? p.dst : this.addresses.gateway;
    const handler = this.handlers.get(keyOf(to, udp.dstPort(v, p.l4)));
    if (handler === undefined) return Drop.UdpNoService;
    const from: UdpPeer = {
      addr: ipv4Addr(p.src),
      port: udp.srcPort(v, p.l4),
      mac: { hi: p.macHi, lo: p.macLo },
      ingress: p.ingress,
    };
    return handler(p.l4 + udp.HEADER_LEN, udp.payloadLen(v, p.l4), from, now);
  }

  /** Sends `payload` from one of our addresses. Where the link has no room it is lost and counted. */
  send(address: number, port: number, payload: Uint8Array, to: UdpPeer): void {
    const out = this.ports.port(to.ingress);
    if (out === undefined) return;
    const route = new Route(out, this.addresses.macOf(address), address, to.mac, to.addr.w3);
    sendUdp(this.arena, this.output, this.drops, route, port, to.port, payload);
  }
}

/** One datagram with `payload`, which lies outside the arena, to a guest: copied once, in fragments if it must be. */
export function sendUdp(
  arena: Arena,
  output: Ipv4Output,
  drops: DropCounters,
  route: Route,
  fromPort: number,
  toPort: number,
  payload: Uint8Array,
): void {
  const len = udp.HEADER_LEN + payload.length;
  const pseudo = pseudoSumIpv4(route.src, route.dst, ipv4.Protocol.Udp);
  const { memory } = arena;
  if (len <= output.mtu - ipv4.MIN_HEADER_LEN) {
    const at = output.reserve(route, len);
    if (at < 0) {
      drops.lose(Loss.LinkQueueFull);
      return;
    }
    memory.bytes.set(payload, at + udp.HEADER_LEN);
    const sum = pseudo + memory.sum(at + udp.HEADER_LEN, payload.length);
    udp.write(memory.view, at, fromPort, toPort, payload.length, sum);
    output.commit(route, ipv4.Protocol.Udp, len);
    return;
  }
  const scratch = arena.take(len, arena.scratchAccount);
  if (scratch < 0) {
    drops.lose(Loss.ArenaFull);
    return;
  }
  memory.bytes.set(payload, scratch + udp.HEADER_LEN);
  const sum = pseudo + memory.sum(scratch + udp.HEADER_LEN, payload.length);
  udp.write(memory.view, scratch, fromPort, toPort, payload.length, sum);
  const sent = output.sendInFragments(route, ipv4.Protocol.Udp, scratch, len);
  if (!sent) drops.lose(Loss.LinkQueueFull);
  arena.give(scratch, len, arena.scratchAccount);
}

function keyOf(address: number, port: number): number {
  return (address >>> 0) * 65536 + port;
}
