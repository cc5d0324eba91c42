// ARP for IPv4 over Ethernet, RFC 826.

import { Drop } from '../base/drop.ts';
import { macHi, macLo, setMac } from './bytes.ts';
import { EtherType } from './ethernet.ts';

export const LEN = 28;
export const Op = { Request: 1, Reply: 2 } as const;

const HARDWARE = 0;
const PROTOCOL = 2;
const LENGTHS = 4;
const OP = 6;
const SENDER_MAC = 8;
/** Offsets. */
export const SENDER_IP = 14;
export const TARGET_MAC = 18;
export const TARGET_IP = 24;

/** Drop.None when every accessor may be called on the `len` bytes at `arp`. */
export function check(v: DataView, arp: number, len: number): Drop {
  if (len < LEN) return Drop.ArpMalformed;
  if (v.getUint16(arp + HARDWARE) !== 1 || v.getUint16(arp + PROTOCOL) !== EtherType.Ipv4)
    return Drop.ArpMalformed;
  if (v.getUint16(arp + LENGTHS) !== 0x0604) return Drop.ArpMalformed;
  const operation = op(v, arp);
  return operation === Op.Request || operation === Op.Reply ? Drop.None : Drop.ArpMalformed;
}

export function op(v: DataView, arp: number): number {
  return v.getUint16(arp + OP);
}

export function senderHi(v: DataView, arp: number): number {
  return macHi(v, arp + SENDER_MAC);
}

export function senderLo(v: DataView, arp: number): number {
  return macLo(v, arp + SENDER_MAC);
}

/** An IPv4 word; 0 in a probe (RFC 5227 2.1.1). */
export function senderIp(v: DataView, arp: number): number {
  return v.getInt32(arp + SENDER_IP);
}

export function targetIp(v: DataView, arp: number): number {
  return v.getInt32(arp + TARGET_IP);
}

/** Writes all 28 bytes at `arp`: `from` is the sender, `to` the target; the target MAC of a request is zero. */
export function write(
  v: DataView,
  arp: number,
  operation: number,
  fromHi: number,
  fromLo: number,
  fromIp: number,
  toHi: number,
  toLo: number,
  toIp: number,
): void {
  v.setUint16(arp + HARDWARE, 1);
  v.setUint16(arp + PROTOCOL, EtherType.Ipv4);
  v.setUint16(arp + LENGTHS, 0x0604);
  v.setUint16(arp + OP, operation);
  setMac(v, arp + SENDER_MAC, fromHi, fromLo);
  v.setInt32(arp + SENDER_IP, fromIp);
  setMac(v, arp + TARGET_MAC, toHi, toLo);
  v.setInt32(arp + TARGET_IP, toIp);
}
