// Ethernet II, IEEE 802.3 3.2. No FCS: links carry frames without.

import { Drop } from '../base/drop.ts';
import { macHi, macLo, setMac } from './bytes.ts';

export const HEADER_LEN = 14;
/** Shortest frame on a real wire, FCS excluded; what we send is padded to it. IEEE 802.3 4A.2.3.2.4. */
export const MIN_FRAME_LEN = 60;

export const EtherType = {
  Ipv4: 0x0800,
  Arp: 0x0806,
  Ipv6: 0x86dd,
  Vlan: 0x8100,
  VlanProvider: 0x88a8,
} as const;

const DST = 0;
const SRC = 6;
const TYPE = 12;

/** Drop.None when every accessor may be called on the `len` bytes at `eth`. */
export function check(len: number): Drop {
  return len < HEADER_LEN ? Drop.EthernetTooShort : Drop.None;
}

export function dstHi(v: DataView, eth: number): number {
  return macHi(v, eth + DST);
}

export function dstLo(v: DataView, eth: number): number {
  return macLo(v, eth + DST);
}

export function srcHi(v: DataView, eth: number): number {
  return macHi(v, eth + SRC);
}

export function srcLo(v: DataView, eth: number): number {
  return macLo(v, eth + SRC);
}

export function etherType(v: DataView, eth: number): number {
  return v.getUint16(eth + TYPE);
}

/** Multicast and broadcast MACs have the lowest bit of their first byte set. */
export function isGroup(hi: number): boolean {
  return (hi & 0x0100) !== 0;
}

export function isBroadcast(hi: number, lo: number): boolean {
  return hi === 0xffff && lo === -1;
}

/** Writes the whole header at `eth`. */
export function write(
  v: DataView,
  eth: number,
  toHi: number,
  toLo: number,
  fromHi: number,
  fromLo: number,
  type: number,
): void {
  setMac(v, eth + DST, toHi, toLo);
  setMac(v, eth + SRC, fromHi, fromLo);
  v.setUint16(eth + TYPE, type);
}
