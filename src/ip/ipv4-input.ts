// An IPv4 packet from a guest: is it whole, may it come from there, is it for us or through us? RFC 791, RFC 1122 3.2.

import type { Arena } from '../base/arena.ts';
import type { Ms } from '../base/clock.ts';
import { Drop } from '../base/drop.ts';
import type { GuestPorts } from '../base/guest-port.ts';
import { Code } from '../wire/icmpv4.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { Protocol } from '../wire/ipv4.ts';
import type { Addresses } from './addresses.ts';
import type { IcmpErrors } from './icmp.ts';
import { Route } from './output.ts';
import type { Packet } from './packet.ts';
import type { Reassembly } from './reassembly.ts';

/** What IP hands upwards: whole packets between a guest and one of our addresses or the world. Implemented by nat/. */
export interface TransportInput {
  onTcp(p: Packet, now: Ms): Drop;
  /** Also broadcasts, for the gateway's own ports. */
  onUdp(p: Packet, now: Ms): Drop;
}

/** The parts of the gateway's card that answer or keep packets. */
export interface Ipv4InputParts {
  readonly arena: Arena;
  readonly addresses: Addresses;
  readonly ports: GuestPorts;
  readonly reassembly: Reassembly;
  readonly icmp: IcmpErrors;
}

export class Ipv4Input {
  private readonly parts: Ipv4InputParts;
  private readonly transport: TransportInput;

  constructor(parts: Ipv4InputParts, transport: TransportInput) {
    this.parts = parts;
    this.transport = transport;
  }

  /** The packet at [p.ip, p.end); `group`: its frame was for a group MAC. Fills in the rest of `p`. */
  onPacket(p: Packet, group: boolean, now: Ms): Drop {
    const { memory } = this.parts.arena;
    const v = memory.view;
    const bad = p.readIpv4(memory);
    if (bad !== Drop.None) return bad;
    if (p.proto === Protocol.Icmp) return Drop.IcmpByDesign;
    if (ipv4.ttl(v, p.ip) === 0) return Drop.Ipv4TtlZero;
    const refused = this.judge(p, group);
    if (refused !== Drop.None) return refused;
    if (!ipv4.isFragment(v, p.ip)) return this.up(p, group, now);
    const verdict = this.parts.reassembly.add(p, now);
    if (verdict !== 'complete') return verdict;
    const whole = this.up(p, group, now);
    this.parts.reassembly.release();
    return whole;
  }

  /** May a packet with these addresses come in? */
  private judge(p: Packet, group: boolean): Drop {
    const { addresses } = this.parts;
    const broadcast = addresses.isBroadcast(p.dst);
    // RFC 2131 4.1: a client without an address sends from 0.0.0.0.
    if (!addresses.isGuest(p.src) && !(p.src === 0 && p.proto === Protocol.Udp && broadcast))
      return Drop.Ipv4BadSource;
    if (broadcast) return p.proto === Protocol.Udp ? Drop.None : Drop.Ipv4GroupNotServed;
    if (addresses.isMulticast(p.dst)) return Drop.Ipv4GroupNotServed;
    // RFC 1122 3.3.6: what came to a group MAC is not for one address.
    if (group) return Drop.EthernetNotForUs;
    return !addresses.isOwn(p.dst) && addresses.neverLeaves(p.dst) ? Drop.Ipv4NotRouted : Drop.None;
  }

  private up(p: Packet, group: boolean, now: Ms): Drop {
    if (p.proto === Protocol.Tcp) return this.transport.onTcp(p, now);
    if (p.proto === Protocol.Udp) return this.transport.onUdp(p, now);
    const port = this.parts.ports.port(p.ingress);
    if (!group && port !== undefined) {
      const route = new Route(
        port,
        this.parts.addresses.macOf(p.dst),
        p.dst,
        { hi: p.macHi, lo: p.macLo },
        p.src,
      );
      this.parts.icmp.unreachable(route, Code.Protocol, p, now);
    }
    return Drop.Ipv4UnknownProtocol;
  }
}
