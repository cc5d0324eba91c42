// pcapng: one section a file, an interface for each link that shows in it, a packet block for each frame.
// draft-ietf-opsawg-pcapng. Every block is its type and length, its fields, its options, and its length again.
//
// An interface is our end of a link, and directions are as seen from it, as on a TAP device of the host: what a guest
// sends is inbound, what it gets is outbound.
//
// Why the network has dropped a frame is a comment of its packet: `dropped: Ipv4BadChecksum`.

import { Drop, dropNames } from '../base/drop.ts';
import type { Memory } from '../base/memory.ts';
import { utf8Bytes } from '../base/utf8.ts';
import {
  Block,
  BYTE_ORDER_MAGIC,
  LINK_TYPE_ETHERNET,
  MAX_NAME_LEN,
  Option,
  type Precision,
  UNITS,
} from './format.ts';
import { padded } from './reader-options.ts';
import {
  type CaptureWriter,
  type FrameOrigin,
  type LinkCounts,
  type PcapOptions,
  snapLenOf,
  WallTime,
} from './writer.ts';

/** How a pcapng capture is written. */
export interface PcapNgOptions extends PcapOptions {
  /** Who writes it, shb_userappl. Default 'usernet'. */
  readonly application?: string;
}

/** Of text in an option: its length has 16 bits. */
export const MAX_TEXT_LEN = 65_535;

/** Interface Statistics Block. draft-ietf-opsawg-pcapng 4.6. */
const STATISTICS = 5;
const STATISTICS_LEN = 52;

const USER_APPL = 4;
const EPB_FLAGS = 2;
const ISB_IF_RECV = 4;
const ISB_FILTER_ACCEPT = 6;

/** epb_flags: bits 0 and 1. draft-ietf-opsawg-pcapng 4.3.1. */
const INBOUND = 1;
const OUTBOUND = 2;

const VERSION_MAJOR = 1;
const VERSION_MINOR = 0;
/** if_tsresol: the negative power of ten. */
const RESOLUTION: Readonly<Record<Precision, number>> = { micro: 6, nano: 9 };

/** Type, length, interface, time (two halves), captured length, length: in front of a packet's bytes. */
const PACKET_HEAD = 28;
const OPTION_HEAD = 4;
const FLAGS_LEN = OPTION_HEAD + 4;
/** opt_endofopt, and the length again. */
const PACKET_TAIL = OPTION_HEAD + 4;

const DROP_COMMENTS = dropNames.map((name) =>
  option(Option.Comment, utf8Bytes(`dropped: ${name}`, MAX_TEXT_LEN)),
);
const MAX_DROP_LEN = Math.max(...DROP_COMMENTS.map((bytes) => bytes.length));

export class PcapNgWriter implements CaptureWriter {
  readonly snapLen: number;
  readonly precision: Precision;
  readonly statisticsLen = STATISTICS_LEN;
  readonly maxDropLen = MAX_DROP_LEN;
  private readonly application: string;
  private readonly time: WallTime;
  private readonly units: number;
  /** The largest power of two that divides `units`. */
  private readonly lowUnits: number;
  private timeHi = 0;
  private timeLo = 0;

  constructor(options: PcapNgOptions = {}) {
    this.snapLen = snapLenOf(options);
    this.precision = options.precision ?? 'micro';
    this.application = options.application ?? 'usernet';
    this.time = new WallTime(this.precision);
    this.units = UNITS[this.precision];
    this.lowUnits = this.units & -this.units;
  }

  /** The Section Header Block. */
  header(): Uint8Array {
    const fields = new Uint8Array(16);
    const view = new DataView(fields.buffer);
    view.setUint32(0, BYTE_ORDER_MAGIC, true);
    view.setUint16(4, VERSION_MAJOR, true);
    view.setUint16(6, VERSION_MINOR, true);
    // How long the section is, nobody knows yet: -1.
    fields.fill(0xff, 8);
    return block(Block.Section, fields, option(USER_APPL, utf8Bytes(this.application, MAX_TEXT_LEN)), END);
  }

  /** An Interface Description Block. */
  interfaceBlock(name: string): Uint8Array {
    const fields = new Uint8Array(8);
    const view = new DataView(fields.buffer);
    view.setUint16(0, LINK_TYPE_ETHERNET, true);
    view.setUint32(4, this.snapLen, true);
    const ifName = option(Option.IfName, utf8Bytes(name, MAX_NAME_LEN));
    const resolution = option(Option.IfTsResol, Uint8Array.of(RESOLUTION[this.precision]));
    return block(Block.Interface, fields, ifName, resolution, END);
  }

  statisticsBlock({ interfaceId, seen, kept }: LinkCounts, wallMs: number): Uint8Array {
    this.setTime(wallMs);
    const fields = new Uint8Array(12);
    const view = new DataView(fields.buffer);
    view.setUint32(0, interfaceId, true);
    view.setUint32(4, this.timeHi, true);
    view.setUint32(8, this.timeLo, true);
    return block(STATISTICS, fields, counter(ISB_IF_RECV, seen), counter(ISB_FILTER_ACCEPT, kept), END);
  }

  recordLen(len: number, comment: Uint8Array | null): number {
    return PACKET_HEAD + padded(Math.min(len, this.snapLen)) + FLAGS_LEN + commentLen(comment) + PACKET_TAIL;
  }

  /** An Enhanced Packet Block. */
  record(
    into: Memory,
    at: number,
    from: Memory,
    off: number,
    len: number,
    wallMs: number,
    { interfaceId, direction, comment }: FrameOrigin,
  ): number {
    this.setTime(wallMs);
    const { view, bytes } = into;
    const kept = Math.min(len, this.snapLen);
    const blockLen = this.recordLen(len, comment);
    view.setUint32(at, Block.Enhanced, true);
    view.setUint32(at + 4, blockLen, true);
    view.setUint32(at + 8, interfaceId, true);
    view.setUint32(at + 12, this.timeHi, true);
    view.setUint32(at + 16, this.timeLo, true);
    view.setUint32(at + 20, kept, true);
    view.setUint32(at + 24, len, true);
    let to = at + PACKET_HEAD;
    bytes.set(from.bytes.subarray(off, off + kept), to);
    bytes.fill(0, to + kept, to + padded(kept));
    to += padded(kept);
    view.setUint16(to, EPB_FLAGS, true);
    view.setUint16(to + 2, 4, true);
    view.setUint32(to + 4, direction === 'from-guest' ? INBOUND : OUTBOUND, true);
    to += FLAGS_LEN;
    if (comment !== null) {
      const bytesOfIt = option(Option.Comment, comment);
      bytes.set(bytesOfIt, to);
      to += bytesOfIt.length;
    }
    view.setUint32(to, Option.End, true);
    view.setUint32(to + OPTION_HEAD, blockLen, true);
    return to + PACKET_TAIL;
  }

  addDrop(into: Memory, at: number, end: number, drop: Drop): number {
    if (drop === Drop.None) return 0;
    const { view, bytes } = into;
    const comment = DROP_COMMENTS[drop]!;
    const blockLen = view.getUint32(at + 4, true);
    const to = at + blockLen - PACKET_TAIL;
    bytes.copyWithin(to + comment.length, to, end);
    bytes.set(comment, to);
    const longer = blockLen + comment.length;
    view.setUint32(at + 4, longer, true);
    view.setUint32(at + longer - 4, longer, true);
    return comment.length;
  }

  /**
   * The time in 64 bits: seconds * units + fraction. Nanoseconds since 1970 are beyond 2^53, but a second has a multiple
   * of 2^9 of them, so the low 9 bits are the fraction's; what is above is exact until 2116. Of microseconds it is 6 bits.
   */
  private setTime(wallMs: number): void {
    const { time, units, lowUnits } = this;
    time.set(wallMs);
    const upper = time.seconds * (units / lowUnits) + Math.floor(time.fraction / lowUnits);
    const lowWord = 2 ** 32 / lowUnits;
    this.timeHi = Math.floor(upper / lowWord);
    this.timeLo = (upper % lowWord) * lowUnits + (time.fraction % lowUnits);
  }
}

/** A block of `type` with `parts`, each a multiple of four bytes long. */
function block(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const len = 12 + parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(len);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, len, true);
  let at = 8;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  view.setUint32(at, len, true);
  return bytes;
}

const END = option(Option.End, new Uint8Array(0));

function option(code: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(OPTION_HEAD + padded(value.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, code, true);
  view.setUint16(2, value.length, true);
  bytes.set(value, OPTION_HEAD);
  return bytes;
}

/** An option of 64 bits. */
function counter(code: number, value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, value % 2 ** 32, true);
  view.setUint32(4, Math.floor(value / 2 ** 32), true);
  return option(code, bytes);
}

function commentLen(comment: Uint8Array | null): number {
  return comment === null ? 0 : OPTION_HEAD + padded(comment.length);
}
