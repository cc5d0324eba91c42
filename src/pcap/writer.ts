// Frames in, bytes of a classic capture file out. Where the bytes go is somebody else's matter: node/pcap-file.ts writes
// them to a file.

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

export interface PcapOptions {
  /** Bytes kept of each frame, 1..262144. Default 262144. */
  readonly snapLen?: number;
  /** Default 'micro'. */
  readonly precision?: Precision;
}

/** Stateless but for its options: records of several links may be mixed. */
export class PcapWriter {
  readonly snapLen: number;
  readonly precision: Precision;

  constructor(options: PcapOptions = {}) {
    this.snapLen = Math.min(Math.max(options.snapLen ?? MAX_SNAP_LEN, 1), MAX_SNAP_LEN);
    this.precision = options.precision ?? 'micro';
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

  /** Bytes that record() writes for a frame of `len` bytes. */
  recordLen(len: number): number {
    return RECORD_HEADER_LEN + Math.min(len, this.snapLen);
  }

  /**
   * Writes the record of the frame at [off, off+len) of `from` to `into` at `at`, where recordLen(len) bytes are free,
   * and returns the offset behind it. `wallMs` is Clock.wallNow(), fraction included.
   */
  record(into: Memory, at: number, from: Memory, off: number, len: number, wallMs: number): number {
    const units = UNITS[this.precision];
    let seconds = Math.floor(wallMs / 1000);
    let fraction = Math.round((wallMs - seconds * 1000) * (units / 1000));
    if (fraction === units) {
      seconds++;
      fraction = 0;
    }
    const kept = Math.min(len, this.snapLen);
    const { view } = into;
    view.setUint32(at, seconds, true);
    view.setUint32(at + 4, fraction, true);
    view.setUint32(at + 8, kept, true);
    view.setUint32(at + 12, len, true);
    into.bytes.set(from.bytes.subarray(off, off + kept), at + RECORD_HEADER_LEN);
    return at + RECORD_HEADER_LEN + kept;
  }
}
