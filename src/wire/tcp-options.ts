// TCP options: end, no-operation and MSS (RFC 9293 3.2), window scale and timestamps (RFC 7323), SACK-permitted and SACK
// (RFC 2018). Parsed into one reused object; what is malformed ends the list and is otherwise ignored (RFC 9293 MUST-7,
// RFC 1122 4.2.2.5).

import { MIN_HEADER_LEN } from './tcp.ts';

const Kind = { End: 0, Nop: 1, Mss: 2, WindowScale: 3, SackPermitted: 4, Sack: 5, Timestamps: 8 } as const;

/** RFC 7323 2.3: a larger shift count is taken as 14. */
export const MAX_WINDOW_SHIFT = 14;
const MAX_SACK_BLOCKS = 4;

/** NOP, NOP, timestamps, as nearly every segment of a flow with timestamps has them. RFC 7323 appendix A. */
const PLAIN_TIMESTAMPS = 0x0101080a;
/** With their two values. */
export const TIMESTAMPS_LEN = 12;

/** The options of one segment. Refilled by parse(); do not store it. */
export class TcpOptions {
  /** 0 when absent. */
  mss = 0;
  /** -1 when absent, else 0..14. */
  windShift = -1;
  sackPermitted = false;
  hasTimestamps = false;
  /** TSval and TSecr as signed words. RFC 7323 3.2. */
  tsVal = 0;
  tsEcr = 0;
  /** SACK blocks: left and right edge alternate, as signed words; `sackBlocks` pairs are valid. */
  readonly sack = new Int32Array(2 * MAX_SACK_BLOCKS);
  sackBlocks = 0;

  clear(): void {
    this.mss = 0;
    this.windShift = -1;
    this.sackPermitted = false;
    this.hasTimestamps = false;
    this.sackBlocks = 0;
  }

  /** Reads the options at [off, end): from behind the fixed header to its end. */
  parse(v: DataView, off: number, end: number): void {
    this.clear();
    if (end - off === TIMESTAMPS_LEN && v.getInt32(off) === PLAIN_TIMESTAMPS) {
      this.hasTimestamps = true;
      this.tsVal = v.getInt32(off + 4);
      this.tsEcr = v.getInt32(off + 8);
      return;
    }
    let at = off;
    while (at < end) {
      const kind = v.getUint8(at);
      if (kind === Kind.End) return;
      if (kind === Kind.Nop) {
        at++;
        continue;
      }
      if (at + 2 > end) return;
      const len = v.getUint8(at + 1);
      if (len < 2 || at + len > end) return;
      this.take(v, kind, at + 2, len - 2);
      at += len;
    }
  }

  private take(v: DataView, kind: number, at: number, len: number): void {
    if (kind === Kind.Mss && len === 2) this.mss = v.getUint16(at);
    else if (kind === Kind.WindowScale && len === 1)
      this.windShift = Math.min(v.getUint8(at), MAX_WINDOW_SHIFT);
    else if (kind === Kind.SackPermitted && len === 0) this.sackPermitted = true;
    else if (kind === Kind.Timestamps && len === 8) {
      this.hasTimestamps = true;
      this.tsVal = v.getInt32(at);
      this.tsEcr = v.getInt32(at + 4);
    } else if (kind === Kind.Sack && len % 8 === 0) {
      this.sackBlocks = Math.min(len / 8, MAX_SACK_BLOCKS);
      for (let i = 0; i < 2 * this.sackBlocks; i++) this.sack[i] = v.getInt32(at + 4 * i);
    }
  }
}

/** Does the header of `len` bytes at `tcp` have no options, or timestamps as nearly every segment has them? */
export function isPlain(v: DataView, tcp: number, len: number): boolean {
  if (len === MIN_HEADER_LEN) return true;
  return len === MIN_HEADER_LEN + TIMESTAMPS_LEN && v.getInt32(tcp + MIN_HEADER_LEN) === PLAIN_TIMESTAMPS;
}

/** The writers return the offset behind what they wrote; each is a multiple of four bytes long. */
export function writeMss(v: DataView, at: number, mss: number): number {
  v.setInt32(at, (Kind.Mss << 24) | (4 << 16) | mss);
  return at + 4;
}

export function writeWindowScale(v: DataView, at: number, shift: number): number {
  v.setInt32(at, (Kind.Nop << 24) | (Kind.WindowScale << 16) | (3 << 8) | shift);
  return at + 4;
}

export function writeSackPermitted(v: DataView, at: number): number {
  v.setInt32(at, (Kind.Nop << 24) | (Kind.Nop << 16) | (Kind.SackPermitted << 8) | 2);
  return at + 4;
}

/** RFC 7323 appendix A: two NOPs in front keep the values aligned. */
export function writeTimestamps(v: DataView, at: number, tsVal: number, tsEcr: number): number {
  v.setInt32(at, PLAIN_TIMESTAMPS);
  v.setInt32(at + 4, tsVal);
  v.setInt32(at + 8, tsEcr);
  return at + TIMESTAMPS_LEN;
}

/** The head of a SACK option for `blocks` blocks of 8 bytes, which the caller writes behind it. RFC 2018 3. */
export function writeSackHead(v: DataView, at: number, blocks: number): number {
  v.setInt32(at, (Kind.Nop << 24) | (Kind.Nop << 16) | (Kind.Sack << 8) | (2 + 8 * blocks));
  return at + 4;
}
