// The gateway's network card: a frame for one of its MACs or for a group, on its way up. Ethernet here, ARP in arp.ts,
// IPv4 in ipv4-input.ts; what is above IP is the TransportInput's.

import type { Arena } from '../base/arena.ts';
import type { Ms } from '../base/clock.ts';
import { Drop } from '../base/drop.ts';
import type { GuestPorts } from '../base/guest-port.ts';
import * as ethernet from '../wire/ethernet.ts';
import { EtherType } from '../wire/ethernet.ts';
import type { Addresses } from './addresses.ts';
import { arpInput } from './arp.ts';
import type { Ipv4Input } from './ipv4-input.ts';
import type { Neighbours } from './neighbours.ts';
import { Packet } from './packet.ts';

export class GatewayCard {
  private readonly arena: Arena;
  private readonly addresses: Addresses;
  private readonly ports: GuestPorts;
  private readonly neighbours: Neighbours;
  private readonly ipv4: Ipv4Input;
  private readonly packet = new Packet();

  constructor(
    arena: Arena,
    addresses: Addresses,
    ports: GuestPorts,
    neighbours: Neighbours,
    ipv4: Ipv4Input,
  ) {
    this.arena = arena;
    this.addresses = addresses;
    this.ports = ports;
    this.neighbours = neighbours;
    this.ipv4 = ipv4;
  }

  /** Is this one of the gateway's MACs? */
  owns(hi: number, lo: number): boolean {
    return this.addresses.ownsMac(hi, lo);
  }

  /** A frame of at least an Ethernet header from port `ingress`; lent for the call. */
  onFrame(off: number, len: number, ingress: number, now: Ms): Drop {
    const v = this.arena.memory.view;
    const type = ethernet.etherType(v, off);
    const p = this.packet;
    if (type === EtherType.Ipv4) {
      p.ingress = ingress;
      p.macHi = ethernet.srcHi(v, off);
      p.macLo = ethernet.srcLo(v, off);
      p.ip = off + ethernet.HEADER_LEN;
      p.end = off + len;
      return this.ipv4.onPacket(p, ethernet.isGroup(ethernet.dstHi(v, off)), now);
    }
    if (type === EtherType.Arp) {
      const port = this.ports.port(ingress);
      if (port === undefined) return Drop.NetworkClosed;
      return arpInput(
        this.arena,
        this.addresses,
        this.neighbours,
        port,
        off + ethernet.HEADER_LEN,
        off + len,
      );
    }
    return type === EtherType.Vlan || type === EtherType.VlanProvider
      ? Drop.EthernetVlan
      : Drop.EthernetUnknownType;
  }
}
