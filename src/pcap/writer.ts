// Frames in, bytes of a capture file out, in either format: here what both have in common, and the classic one; pcapng is
// in writer-ng.ts. Where the bytes go is somebody else's matter: node/pcap-file.ts writes them to files.

import type { Drop } from '../base/drop.ts';
import type { Memory } from '../base/memory.ts';
import {
  FILE_HEADER_LEN,
  LINK_TYPE_ETHERNET,
  MAX_SNAP_LEN,
  Magic,
  type Precision,
  RECORD_HEADER_LEN,
  UNITS,
  VERSION_MAJOR,
  VERSION_MINOR,
} from './format.ts';

/** How a classic capture is written. */
export interface PcapOptions {
  /** Bytes kept of each frame, 1..262144. Default 262144. */
  readonly snapLen?: number;
  /** Default 'micro'. */
  readonly precision?: Precision;
}

/** What pcapng tells of a frame besides its bytes and its time, and a classic file does not. */
export interface FrameOrigin {
  /** The place of its link among the interfaceBlock()s of the file, from 0. */
  readonly interfaceId: number;
  readonly direction: 'from-guest' | 'to-guest';
  /** UTF-8, at most 65535 bytes: `utf8Bytes(text, 65535)`; null for none. */
  readonly comment: Uint8Array | null;
}

/** What a statisticsBlock() says of one link. */
export interface LinkCounts {
  readonly interfaceId: number;
  /** Frames that the link has passed on, in either direction, and those of them that are in the file. */
  readonly seen: number;
  readonly kept: number;
}

/** Writes one format. Without state but for its options. */
export interface CaptureWriter {
  /** Bytes kept of each frame. */
  readonly snapLen: number;
  /** Bytes of a statisticsBlock(). */
  readonly statisticsLen: number;
  /** The most bytes that addDrop() adds. */
  readonly maxDropLen: number;

  /** What a file begins with. */
  header(): Uint8Array;

  /** What has to come before the first record of a link of this name: nothing in a classic file. */
  interfaceBlock(name: string): Uint8Array;

  /** May come at the end of a file, `wallMs` being the time of its last frame. Nothing in a classic file. */
  statisticsBlock(counts: LinkCounts, wallMs: number): Uint8Array;

  /** Bytes that record() writes for a frame of `len` bytes with this comment. */
  recordLen(len: number, comment: Uint8Array | null): number;

  /**
   * Writes the record of the frame at [off, off+len) of `from` to `into` at `at`, where recordLen() bytes are free, and
   * returns the offset behind it. `wallMs` is Clock.wallNow(), fraction included.
   */
  record(
    into: Memory,
    at: number,
    from: Memory,
    off: number,
    len: number,
    wallMs: number,
    origin: FrameOrigin,
  ): number;

  /**
   * Notes at the record that begins at `at` why its frame was dropped. What is behind it, up to `end`, moves up: there
   * are maxDropLen bytes free behind `end`. Returns by how much.
   */
  addDrop(into: Memory, at: number, end: number, drop: Drop): number;
}

const NOTHING = new Uint8Array(0);

/** The classic format. draft-ietf-opsawg-pcap. */
export class PcapWriter implements CaptureWriter {
  readonly snapLen: number;
  readonly precision: Precision;
  readonly statisticsLen = 0;
  readonly maxDropLen = 0;
  private readonly time: WallTime;

  constructor(options: PcapOptions = {}) {
    this.snapLen = snapLenOf(options);
    this.precision = options.precision ?? 'micro';
    this.time = new WallTime(this.precision);
  }

  /** The first 24 bytes of a file. */
  header(): Uint8Array {
    const bytes = new Uint8Array(FILE_HEADER_LEN);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, Magic[this.precision], true);
    view.setUint16(4, VERSION_MAJOR, true);
    view.setUint16(6, VERSION_MINOR, true);
    view.setUint32(16, this.snapLen, true);
    view.setUint32(20, LINK_TYPE_ETHERNET, true);
    return bytes;
  }

  interfaceBlock(): Uint8Array {
    return NOTHING;
  }

  statisticsBlock(): Uint8Array {
    return NOTHING;
  }

  recordLen(len: number): number {
    return RECORD_HEADER_LEN + Math.min(len, this.snapLen);
  }

  record(into: Memory, at: number, from: Memory, off: number, len: number, wallMs: number): number {
    const { view } = into;
    const { time } = this;
    time.set(wallMs);
    const kept = Math.min(len, this.snapLen);
    view.setUint32(at, time.seconds, true);
    view.setUint32(at + 4, time.fraction, true);
    view.setUint32(at + 8, kept, true);
    view.setUint32(at + 12, len, true);
    into.bytes.set(from.bytes.subarray(off, off + kept), at + RECORD_HEADER_LEN);
    return at + RECORD_HEADER_LEN + kept;
  }

  addDrop(): number {
    return 0;
  }
}

/** What is out of range is brought into it. */
export function snapLenOf(options: PcapOptions): number {
  return Math.min(Math.max(options.snapLen ?? MAX_SNAP_LEN, 1), MAX_SNAP_LEN);
}

/** Clock.wallNow() in whole units. */
export class WallTime {
  /** Of the last set(): since 1970, and units of the precision, rounded to the nearest. */
  seconds = 0;
  fraction = 0;
  private readonly units: number;

  constructor(precision: Precision) {
    this.units = UNITS[precision];
  }

  set(wallMs: number): void {
    this.seconds = Math.floor(wallMs / 1000);
    this.fraction = Math.round((wallMs - this.seconds * 1000) * (this.units / 1000));
    if (this.fraction < this.units) return;
    this.seconds++;
    this.fraction = 0;
  }
}
