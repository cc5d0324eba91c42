// Classic captures: micro- and nanoseconds, both byte orders, and the longer records of 1999.

import type { Memory } from '../base/memory.ts';
import {
  FILE_HEADER_LEN,
  KUZNETZOV_HEADER_LEN,
  LINK_TYPE_MASK,
  MAGIC_KUZNETZOV,
  MAX_SNAP_LEN,
  Magic,
  RECORD_HEADER_LEN,
  UNITS,
} from './format.ts';
import type { FormatReader, ReaderOutput } from './reader-output.ts';

/** Version of DG/UX's tcpdump, which has the lengths in the order of versions before 2.3. */
const DG_UX_MAJOR = 543;

/** Which of a record's two lengths comes first. `guess`: version 2.3 has been written both ways. */
type LengthOrder = 'captured' | 'wire' | 'guess';

export class ClassicFormat implements FormatReader {
  readonly passingAt = -1;
  needed = FILE_HEADER_LEN;
  private readonly output: ReaderOutput;
  private readonly littleEndian: boolean;
  private readonly headerLen: number;
  /** Fractions in a second, and nanoseconds in a fraction. */
  private readonly units: number;
  private readonly nanos: number;
  private order: LengthOrder = 'captured';
  private started = false;

  private constructor(magic: number, littleEndian: boolean, output: ReaderOutput) {
    this.output = output;
    this.littleEndian = littleEndian;
    this.headerLen = magic === MAGIC_KUZNETZOV ? KUZNETZOV_HEADER_LEN : RECORD_HEADER_LEN;
    this.units = UNITS[magic === Magic.nano ? 'nano' : 'micro'];
    this.nanos = UNITS.nano / this.units;
  }

  get unit(): string {
    return this.started ? 'record' : 'file header';
  }

  /** null when the four bytes at `off` are not the beginning of a classic capture. */
  static detect(view: DataView, off: number, output: ReaderOutput): ClassicFormat | null {
    for (const littleEndian of [true, false]) {
      const magic = view.getUint32(off, littleEndian);
      if (magic === Magic.micro || magic === Magic.nano || magic === MAGIC_KUZNETZOV)
        return new ClassicFormat(magic, littleEndian, output);
    }
    return null;
  }

  take(memory: Memory, off: number, end: number, base: number): number {
    if (this.started) return this.records(memory, off, end, base);
    if (end - off < FILE_HEADER_LEN) return off;
    this.readHeader(memory.view, off);
    this.started = true;
    if (this.output.damage !== null) return off;
    return this.records(memory, off + FILE_HEADER_LEN, end, base);
  }

  private readHeader(view: DataView, off: number): void {
    const major = view.getUint16(off + 4, this.littleEndian);
    const minor = view.getUint16(off + 6, this.littleEndian);
    if (major !== 2 && major !== DG_UX_MAJOR) {
      this.output.damage = { offset: 0, reason: `version ${major}.${minor} of the format is not known` };
      return;
    }
    if (major === DG_UX_MAJOR || minor < 3) this.order = 'wire';
    else if (minor === 3) this.order = 'guess';
    const { output } = this;
    output.frame.source = {
      index: 0,
      linkType: view.getUint32(off + 20, this.littleEndian) & LINK_TYPE_MASK,
      snapLen: view.getUint32(off + 16, this.littleEndian),
      name: null,
    };
    output.onSource(output.frame.source);
  }

  private records(memory: Memory, off: number, end: number, base: number): number {
    const { view } = memory;
    const { littleEndian, headerLen, units, nanos, order, output } = this;
    const { frame, onFrame } = output;
    frame.memory = memory;
    let at = off;
    while (end - at >= headerLen) {
      let len = view.getUint32(at + 8, littleEndian);
      let wireLen = view.getUint32(at + 12, littleEndian);
      if (order === 'wire' || (order === 'guess' && len > wireLen)) [len, wireLen] = [wireLen, len];
      if (len > MAX_SNAP_LEN) {
        output.damage = { offset: base + at, reason: `a record of ${len} bytes, more than ${MAX_SNAP_LEN}` };
        return at;
      }
      const next = at + headerLen + len;
      if (next > end) {
        this.needed = headerLen + len;
        return at;
      }
      const seconds = view.getUint32(at, littleEndian);
      const fraction = view.getUint32(at + 4, littleEndian);
      // Nothing keeps a file from a fraction of more than a second.
      const carry = fraction < units ? 0 : Math.floor(fraction / units);
      frame.number++;
      frame.seconds = seconds + carry;
      frame.nanoseconds = (fraction - carry * units) * nanos;
      frame.off = at + headerLen;
      frame.len = len;
      frame.wireLen = wireLen;
      at = next;
      onFrame(frame);
    }
    this.needed = headerLen;
    return at;
  }
}
