// Frames of a guest that floods, written by the thousand: templates would be quicker still, but the writers of wire/ cost
// a microsecond, and a flood is written before anything is measured.

import type { Mac } from '../../src/base/addr.ts';
import { type Memory, memoryOver } from '../../src/base/memory.ts';
import * as arp from '../../src/wire/arp.ts';
import { finish, pseudoSumIpv4 } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as udp from '../../src/wire/udp.ts';
import type { SeededRandom } from '../support/seeded-random.ts';

const MAX_FRAME = 1514;
const IP = ethernet.HEADER_LEN;
const L4 = IP + ipv4.MIN_HEADER_LEN;
const FRAGMENT_WORD = 6;

export const BROADCAST: Mac = { hi: 0xffff, lo: -1 };
/** Of the gateway and of the name service of 10.0.2.0/24. */
export const GATEWAY = 0x0a000202;
export const DNS = 0x0a000203;

/** MACs of the gateway's own addresses. */
export function gatewayMac(address = GATEWAY): Mac {
  return { hi: 0x5255, lo: address };
}

/** Writes one frame after the other into a buffer of its own; each is good until the next is written. */
export class FrameWriter {
  readonly random: SeededRandom;
  /** Of the guest that floods. */
  readonly mac: Mac;
  readonly address: number;
  private readonly memory: Memory;

  constructor(random: SeededRandom, mac: Mac, address: number) {
    this.random = random;
    this.mac = mac;
    this.address = address;
    this.memory = memoryOver(new Uint8Array(MAX_FRAME));
  }

  /** Any bytes at all behind the addresses. */
  raw(to: Mac, from: Mac, type: number, payload: number): Uint8Array {
    const { view, bytes } = this.memory;
    ethernet.write(view, 0, to.hi, to.lo, from.hi, from.lo, type);
    for (let i = 0; i < payload; i += 4) view.setInt32(Math.min(IP + i, MAX_FRAME - 4), this.random.word());
    return bytes.subarray(0, IP + payload);
  }

  arp(op: number, sender: Mac, senderIp: number, target: Mac, targetIp: number, to: Mac): Uint8Array {
    const { view, bytes } = this.memory;
    ethernet.write(view, 0, to.hi, to.lo, sender.hi, sender.lo, ethernet.EtherType.Arp);
    arp.write(view, IP, op, sender.hi, sender.lo, senderIp, target.hi, target.lo, targetIp);
    return bytes.subarray(0, IP + arp.LEN);
  }

  udp(fields: UdpFields): Uint8Array {
    const { view, bytes } = this.memory;
    const { sport, dport, payload } = fields;
    const [src, dst] = [fields.src ?? this.address, fields.dst];
    const len = udp.HEADER_LEN + payload.length;
    bytes.set(payload, L4 + udp.HEADER_LEN);
    const sum = this.memory.sum(L4 + udp.HEADER_LEN, payload.length);
    udp.write(view, L4, sport, dport, payload.length, pseudoSumIpv4(src, dst, ipv4.Protocol.Udp) + sum);
    return this.packet(fields, src, dst, ipv4.Protocol.Udp, len);
  }

  tcp(fields: TcpFields): Uint8Array {
    const { view } = this.memory;
    const [src, dst] = [fields.src ?? this.address, fields.dst];
    const len = tcp.MIN_HEADER_LEN + (fields.len ?? 0);
    const { seq, ack = 0, flags } = fields;
    tcp.write(view, L4, fields.sport, fields.dport, seq, ack, tcp.MIN_HEADER_LEN, flags, 65535);
    const pseudo = pseudoSumIpv4(src, dst, ipv4.Protocol.Tcp);
    tcp.setChecksum(view, L4, finish(pseudo + len + this.memory.sum(L4, len)));
    return this.packet(fields, src, dst, ipv4.Protocol.Tcp, len);
  }

  /** One piece of a datagram; what is in it is whatever the buffer held. `offset` a multiple of 8. */
  fragment(fields: FragmentFields): Uint8Array {
    const { view } = this.memory;
    const frame = this.packet(fields, fields.src ?? this.address, fields.dst, fields.proto, fields.len);
    view.setUint16(IP + 4, fields.ident);
    view.setUint16(IP + FRAGMENT_WORD, (fields.offset >>> 3) | (fields.more ? 0x2000 : 0));
    this.sealIp();
    return frame;
  }

  /** An IPv4 header in front of the `len` bytes that are there. */
  packet(to: Ends, src: number, dst: number, proto: number, len: number): Uint8Array {
    const { view, bytes } = this.memory;
    const from = to.from ?? this.mac;
    const mac = to.to ?? gatewayMac(dst === DNS ? DNS : GATEWAY);
    ethernet.write(view, 0, mac.hi, mac.lo, from.hi, from.lo, ethernet.EtherType.Ipv4);
    ipv4.write(view, IP, len, this.random.word() & 0xffff, proto, src, dst);
    return bytes.subarray(0, Math.max(L4 + len, ethernet.MIN_FRAME_LEN));
  }

  private sealIp(): void {
    const { view } = this.memory;
    view.setUint16(IP + 10, 0);
    view.setUint16(IP + 10, finish(this.memory.sum(IP, ipv4.MIN_HEADER_LEN)));
  }
}

/** MACs, where they are not the guest's own and the gateway's. */
export interface Ends {
  readonly to?: Mac;
  readonly from?: Mac;
}

export interface UdpFields extends Ends {
  readonly src?: number;
  readonly dst: number;
  readonly sport: number;
  readonly dport: number;
  readonly payload: Uint8Array;
}

export interface TcpFields extends Ends {
  readonly src?: number;
  readonly dst: number;
  readonly sport: number;
  readonly dport: number;
  readonly seq: number;
  readonly ack?: number;
  readonly flags: number;
  /** Bytes of payload. */
  readonly len?: number;
}

export interface FragmentFields extends Ends {
  readonly src?: number;
  readonly dst: number;
  readonly proto: number;
  readonly ident: number;
  readonly offset: number;
  readonly len: number;
  readonly more: boolean;
}
