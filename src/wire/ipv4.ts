// IPv4, RFC 791.

import { Drop } from '../base/drop.ts';
import type { Memory } from '../base/memory.ts';
import { finish, isValid } from './checksum.ts';

export const MIN_HEADER_LEN = 20;
export const MAX_LEN = 65535;
export const Protocol = { Icmp: 1, Tcp: 6, Udp: 17 } as const;

const VERSION_IHL = 0;
/** Offset of the total length. */
export const TOTAL_LEN = 2;
const ID = 4;
const FRAGMENT = 6;
const TTL = 8;
const PROTOCOL = 9;
/** Offset of the header's checksum. */
export const CHECKSUM = 10;
/** Offsets of the addresses. */
export const SRC = 12;
export const DST = 16;

const MORE_FRAGMENTS = 0x2000;
const DONT_FRAGMENT = 0x4000;
const OFFSET_MASK = 0x1fff;
const DEFAULT_TTL = 64;

/** Drop.None when every accessor may be called on the `len` bytes at `ip`. */
export function check(m: Memory, ip: number, len: number): Drop {
  const v = m.view;
  if (len < MIN_HEADER_LEN || v.getUint8(ip) >>> 4 !== 4) return Drop.Ipv4BadHeader;
  const header = headerLen(v, ip);
  if (header < MIN_HEADER_LEN) return Drop.Ipv4BadHeader;
  const total = totalLen(v, ip);
  if (total < header || total > len) return Drop.Ipv4BadLength;
  return isValid(m.sum(ip, header)) ? Drop.None : Drop.Ipv4BadChecksum;
}

/** Bytes, options included: 20..60 after check(). */
export function headerLen(v: DataView, ip: number): number {
  return (v.getUint8(ip + VERSION_IHL) & 15) << 2;
}

/** Bytes of header and payload. */
export function totalLen(v: DataView, ip: number): number {
  return v.getUint16(ip + TOTAL_LEN);
}

export function id(v: DataView, ip: number): number {
  return v.getUint16(ip + ID);
}

/** Is it one piece of several? */
export function isFragment(v: DataView, ip: number): boolean {
  return (v.getUint16(ip + FRAGMENT) & (MORE_FRAGMENTS | OFFSET_MASK)) !== 0;
}

/** Where this fragment's payload begins in the whole payload, bytes, a multiple of 8. */
export function fragmentOffset(v: DataView, ip: number): number {
  return (v.getUint16(ip + FRAGMENT) & OFFSET_MASK) << 3;
}

export function moreFragments(v: DataView, ip: number): boolean {
  return (v.getUint16(ip + FRAGMENT) & MORE_FRAGMENTS) !== 0;
}

export function dontFragment(v: DataView, ip: number): boolean {
  return (v.getUint16(ip + FRAGMENT) & DONT_FRAGMENT) !== 0;
}

export function ttl(v: DataView, ip: number): number {
  return v.getUint8(ip + TTL);
}

export function protocol(v: DataView, ip: number): number {
  return v.getUint8(ip + PROTOCOL);
}

export function src(v: DataView, ip: number): number {
  return v.getInt32(ip + SRC);
}

export function dst(v: DataView, ip: number): number {
  return v.getInt32(ip + DST);
}

/** Writes a header of 20 bytes for a whole datagram with `payloadLen` bytes behind it, checksum included. */
export function write(
  v: DataView,
  ip: number,
  payloadLen: number,
  ident: number,
  proto: number,
  from: number,
  to: number,
): void {
  writeFragment(v, ip, payloadLen, ident, proto, from, to, DONT_FRAGMENT);
}

/** The same for one fragment: its payload begins at `offset` (a multiple of 8), `more` of them follow. */
export function writeAsFragment(
  v: DataView,
  ip: number,
  payloadLen: number,
  ident: number,
  proto: number,
  from: number,
  to: number,
  offset: number,
  more: boolean,
): void {
  writeFragment(v, ip, payloadLen, ident, proto, from, to, (offset >>> 3) | (more ? MORE_FRAGMENTS : 0));
}

function writeFragment(
  v: DataView,
  ip: number,
  payloadLen: number,
  ident: number,
  proto: number,
  from: number,
  to: number,
  fragment: number,
): void {
  const total = MIN_HEADER_LEN + payloadLen;
  const ttlProto = (DEFAULT_TTL << 8) | proto;
  v.setUint16(ip + VERSION_IHL, 0x4500);
  v.setUint16(ip + TOTAL_LEN, total);
  v.setUint16(ip + ID, ident);
  v.setUint16(ip + FRAGMENT, fragment);
  v.setUint16(ip + TTL, ttlProto);
  v.setInt32(ip + SRC, from);
  v.setInt32(ip + DST, to);
  const addresses = (from >>> 16) + (from & 0xffff) + (to >>> 16) + (to & 0xffff);
  v.setUint16(ip + CHECKSUM, finish(0x4500 + total + ident + fragment + ttlProto + addresses));
}
