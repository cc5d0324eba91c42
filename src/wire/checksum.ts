// What is done with one's-complement sums; the sums themselves are Memory's. RFC 1071.

import { fold } from '../base/memory.ts';

export { fold };

/** The checksum field for a sum of everything else. */
export function finish(sum: number): number {
  return ~fold(sum) & 0xffff;
}

/** Is the sum over data that includes its checksum field right? */
export function isValid(sum: number): boolean {
  return fold(sum) === 0xffff;
}

/** Sum of the IPv4 pseudo-header without the length. RFC 9293 3.1, RFC 768. */
export function pseudoSumIpv4(src: number, dst: number, proto: number): number {
  return (src >>> 16) + (src & 0xffff) + (dst >>> 16) + (dst & 0xffff) + proto;
}
