// UDP, RFC 768.

import { Drop } from '../base/drop.ts';
import type { Memory } from '../base/memory.ts';
import { finish, isValid } from './checksum.ts';

export const HEADER_LEN = 8;
/** What fits an IPv4 datagram: 65535 - 20 - 8. */
export const MAX_PAYLOAD = 65507;

const SRC_PORT = 0;
const DST_PORT = 2;
const LENGTH = 4;
/** Offset of the checksum. */
export const CHECKSUM = 6;

/** Drop.None when every accessor may be called on the `len` bytes at `udp`. `pseudo`: checksum.pseudoSumIpv4. */
export function check(m: Memory, udp: number, len: number, pseudo: number): Drop {
  if (len < HEADER_LEN) return Drop.UdpBadLength;
  const length = m.view.getUint16(udp + LENGTH);
  if (length < HEADER_LEN || length > len) return Drop.UdpBadLength;
  // RFC 768: zero means that the sender made none.
  if (m.view.getUint16(udp + CHECKSUM) !== 0 && !isValid(pseudo + length + m.sum(udp, length))) {
    return Drop.UdpBadChecksum;
  }
  return srcPort(m.view, udp) === 0 || dstPort(m.view, udp) === 0 ? Drop.UdpPortZero : Drop.None;
}

export function srcPort(v: DataView, udp: number): number {
  return v.getUint16(udp + SRC_PORT);
}

export function dstPort(v: DataView, udp: number): number {
  return v.getUint16(udp + DST_PORT);
}

/** Bytes of payload. */
export function payloadLen(v: DataView, udp: number): number {
  return v.getUint16(udp + LENGTH) - HEADER_LEN;
}

/** Writes the header; `sum` is pseudo-header (without length) plus payload. A checksum of zero goes out as 0xffff. */
export function write(
  v: DataView,
  udp: number,
  from: number,
  to: number,
  payload: number,
  sum: number,
): void {
  const length = HEADER_LEN + payload;
  v.setUint16(udp + SRC_PORT, from);
  v.setUint16(udp + DST_PORT, to);
  v.setUint16(udp + LENGTH, length);
  const checksum = finish(sum + from + to + 2 * length);
  v.setUint16(udp + CHECKSUM, checksum === 0 ? 0xffff : checksum);
}
