// A frame whose numbers are relative to the engine's (see ops.ts) becomes one with real numbers and a right checksum.

import { fixTransport } from './checksums.ts';
import type { SeenTable } from './seen.ts';

/** Rewrites the frame in the first `len` bytes of `frame`, where it is whole TCP in IPv4. */
export function rebase(frame: Buffer, len: number, guest: number, table: SeenTable): void {
  const tcp = tcpAt(frame, len);
  if (tcp < 0) return;
  const seen = table.find(guest, frame.readUInt16BE(tcp), frame.readUInt16BE(tcp + 2));
  if (seen !== undefined) {
    shift(frame, tcp + 8, seen.irs);
    shiftOptions(frame, tcp + 20, Math.min(tcp + (frame[tcp + 12]! >> 4) * 4, len), seen.irs, seen.tsVal);
  }
  fixTransport(frame, len);
}

/** Where the TCP header of an unfragmented packet begins, or -1. */
export function tcpAt(frame: Buffer, len: number): number {
  if (len < 54 || frame.readUInt16BE(12) !== 0x0800 || frame[23] !== 6) return -1;
  if ((frame.readUInt16BE(20) & 0x3fff) !== 0) return -1;
  const tcp = 14 + (frame[14]! & 15) * 4;
  return tcp >= 34 && tcp + 20 <= len ? tcp : -1;
}

function shift(frame: Buffer, at: number, by: number): void {
  frame.writeInt32BE((frame.readInt32BE(at) + by) | 0, at);
}

/** SACK blocks and TSecr of the options in [at, end), as far as they make sense. */
function shiftOptions(frame: Buffer, from: number, end: number, irs: number, tsVal: number): void {
  for (let at = from; at + 1 < end; ) {
    const kind = frame[at]!;
    if (kind === 0) return;
    if (kind === 1) {
      at++;
      continue;
    }
    const len = frame[at + 1]!;
    if (len < 2 || at + len > end) return;
    if (kind === 5) for (let i = at + 2; i + 4 <= at + len; i += 4) shift(frame, i, irs);
    else if (kind === 8 && len === 10) shift(frame, at + 6, tsVal);
    at += len;
  }
}
