// TCP header, RFC 9293 3.1. Options are tcp-options.ts.

import { Drop } from '../base/drop.ts';
import type { Memory } from '../base/memory.ts';
import { isValid } from './checksum.ts';

export const MIN_HEADER_LEN = 20;
export const MAX_HEADER_LEN = 60;

/** Control bits as they stand in byte 13. */
export const Flag = { Fin: 1, Syn: 2, Rst: 4, Psh: 8, Ack: 16, Urg: 32, Ece: 64, Cwr: 128 } as const;

const SRC_PORT = 0;
/** Offset of the destination port. */
export const DST_PORT = 2;
const SEQ = 4;
/** Offset of the acknowledgment number. */
export const ACK = 8;
const OFFSET = 12;
const FLAGS = 13;
const WINDOW = 14;
/** Offset of the checksum. */
export const CHECKSUM = 16;
/** Offset of the urgent pointer. */
export const URGENT = 18;

/** Drop.None when every accessor may be called on the `len` bytes at `tcp`, whatever they say. */
export function checkShape(v: DataView, tcp: number, len: number): Drop {
  if (len < MIN_HEADER_LEN) return Drop.TcpBadOffset;
  const header = headerLen(v, tcp);
  return header < MIN_HEADER_LEN || header > len ? Drop.TcpBadOffset : Drop.None;
}

/** Drop.None when the `len` bytes at `tcp`, of the right shape, are what was sent. `pseudo`: checksum.pseudoSumIpv4. */
export function checkSum(m: Memory, tcp: number, len: number, pseudo: number): Drop {
  if (!isValid(pseudo + len + m.sum(tcp, len))) return Drop.TcpBadChecksum;
  return srcPort(m.view, tcp) === 0 || dstPort(m.view, tcp) === 0 ? Drop.TcpPortZero : Drop.None;
}

/** Both. */
export function check(m: Memory, tcp: number, len: number, pseudo: number): Drop {
  const misshapen = checkShape(m.view, tcp, len);
  return misshapen === Drop.None ? checkSum(m, tcp, len, pseudo) : misshapen;
}

export function srcPort(v: DataView, tcp: number): number {
  return v.getUint16(tcp + SRC_PORT);
}

export function dstPort(v: DataView, tcp: number): number {
  return v.getUint16(tcp + DST_PORT);
}

/** SEG.SEQ as a signed word. Compare only with tcp/seq.ts. */
export function seq(v: DataView, tcp: number): number {
  return v.getInt32(tcp + SEQ);
}

/** SEG.ACK as a signed word; meaningless without Flag.Ack. */
export function ack(v: DataView, tcp: number): number {
  return v.getInt32(tcp + ACK);
}

/** Bytes, options included: 20..60 after check(). */
export function headerLen(v: DataView, tcp: number): number {
  return (v.getUint8(tcp + OFFSET) >>> 4) << 2;
}

/** Flag bits, 0..255. */
export function flags(v: DataView, tcp: number): number {
  return v.getUint8(tcp + FLAGS);
}

/** SEG.WND as sent, not scaled. */
export function window(v: DataView, tcp: number): number {
  return v.getUint16(tcp + WINDOW);
}

/** Writes 20 bytes, checksum zero and urgent pointer zero; `header` is the length in bytes with options. */
export function write(
  v: DataView,
  tcp: number,
  from: number,
  to: number,
  sequence: number,
  acknowledgment: number,
  header: number,
  bits: number,
  wnd: number,
): void {
  v.setUint16(tcp + SRC_PORT, from);
  v.setUint16(tcp + DST_PORT, to);
  v.setInt32(tcp + SEQ, sequence);
  v.setInt32(tcp + ACK, acknowledgment);
  v.setUint16(tcp + OFFSET, (header << 10) | bits);
  v.setUint16(tcp + WINDOW, wnd);
  v.setInt32(tcp + CHECKSUM, 0);
}

export function setChecksum(v: DataView, tcp: number, checksum: number): void {
  v.setUint16(tcp + CHECKSUM, checksum);
}

export function urgent(v: DataView, tcp: number): number {
  return v.getUint16(tcp + URGENT);
}
