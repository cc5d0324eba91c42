// pcapng captures: any number of sections, each in its own byte order and with interfaces of its own. Of a block that we
// need all is looked at at once; every other one is passed over without being held, whatever its length.

import type { Memory } from '../base/memory.ts';
import { Block, BYTE_ORDER_MAGIC, MAX_NAME_LEN, MAX_SNAP_LEN, MIN_BLOCK_LEN, Option } from './format.ts';
import { type CaptureSource, NO_COMMENTS } from './frames.ts';
import { Options, padded } from './reader-options.ts';
import type { FormatReader, ReaderOutput } from './reader-output.ts';
import { CaptureTime, DEFAULT_RESOLUTION } from './reader-time.ts';

/** Longest block that we need whole: the largest frame, and 768 KiB for its options. */
const MAX_BLOCK_LEN = 1 << 20;
/** Of a section: with their names and units of time 14 MiB at most. */
const MAX_INTERFACES = 16_384;

/** Body lengths that the fields at fixed places need. draft-ietf-opsawg-pcapng 4. */
const SECTION_FIELDS = 16;
const INTERFACE_FIELDS = 8;
const PACKET_FIELDS = 20;
const SIMPLE_FIELDS = 4;
/** Type and length in front of a body, length behind it. */
const HEAD = 8;
const TRAILER = 4;

export class NgFormat implements FormatReader {
  readonly unit: string = 'block';
  needed = MIN_BLOCK_LEN;
  passingAt = -1;
  private readonly output: ReaderOutput;
  private readonly options = new Options();
  private littleEndian = true;
  /** Of this section, by their number in it. */
  private sources: CaptureSource[] = [];
  private times: CaptureTime[] = [];
  private sourcesBefore = 0;
  /** Of a block that is passed over: its length, and how much of it is still to come. */
  private passingLen = 0;
  private passingLeft = 0;

  private constructor(output: ReaderOutput) {
    this.output = output;
  }

  /** null when the four bytes at `off` are not the beginning of a pcapng capture. */
  static detect(view: DataView, off: number, output: ReaderOutput): NgFormat | null {
    return view.getUint32(off) === Block.Section ? new NgFormat(output) : null;
  }

  take(memory: Memory, off: number, end: number, base: number): number {
    const { view } = memory;
    this.output.frame.memory = memory;
    let at = off;
    while (this.output.damage === null) {
      if (this.passingAt >= 0) {
        at = this.passOver(view, at, end);
        if (this.passingAt >= 0) return at;
      }
      this.needed = MIN_BLOCK_LEN;
      if (end - at < MIN_BLOCK_LEN) return at;
      const type = view.getUint32(at, this.littleEndian);
      if (type === Block.Section && !this.readByteOrder(view, at + HEAD, base + at)) return at;
      // A multiple of four by the draft; who forgets that pads the block all the same.
      const total = padded(view.getUint32(at + 4, this.littleEndian));
      const least = leastBody(type);
      if (total < MIN_BLOCK_LEN + least) {
        return this.fail(at, base, `a block of type ${type} with a length of ${total}`);
      }
      if (least === 0) {
        this.passingAt = base + at;
        this.passingLen = total;
        this.passingLeft = total - HEAD;
        at += HEAD;
        continue;
      }
      if (total > MAX_BLOCK_LEN) {
        return this.fail(at, base, `a block of ${total} bytes, more than ${MAX_BLOCK_LEN}`);
      }
      if (end - at < total) {
        this.needed = total;
        return at;
      }
      const trailer = padded(view.getUint32(at + total - TRAILER, this.littleEndian));
      if (trailer !== total) return this.fail(at, base, lengthsDiffer(total, trailer));
      const reason = this.readBlock(view, type, at + HEAD, at + total - TRAILER);
      if (reason !== null) return this.fail(at, base, reason);
      at += total;
    }
    return at;
  }

  private fail(at: number, base: number, reason: string): number {
    this.output.damage = { offset: base + at, reason };
    return at;
  }

  /** The rest of a block that nobody needs, but for the length behind it. */
  private passOver(view: DataView, at: number, end: number): number {
    const step = Math.min(end - at, this.passingLeft - TRAILER);
    this.passingLeft -= step;
    this.needed = this.passingLeft > TRAILER ? 1 : TRAILER;
    if (end - at - step < this.needed) return at + step;
    const trailer = padded(view.getUint32(at + step, this.littleEndian));
    if (trailer === this.passingLen) {
      this.passingAt = -1;
      return at + step + TRAILER;
    }
    return this.fail(0, this.passingAt, lengthsDiffer(this.passingLen, trailer));
  }

  /** Of the section whose byte-order magic is at `at`. */
  private readByteOrder(view: DataView, at: number, offset: number): boolean {
    this.littleEndian = view.getUint32(at, true) === BYTE_ORDER_MAGIC;
    if (this.littleEndian || view.getUint32(at) === BYTE_ORDER_MAGIC) return true;
    this.output.damage = { offset, reason: 'a section without its byte-order magic' };
    return false;
  }

  /** Returns what is wrong with it, or null. */
  private readBlock(view: DataView, type: number, body: number, end: number): string | null {
    const { littleEndian } = this;
    switch (type) {
      case Block.Enhanced:
        return this.readPacket(view, view.getUint32(body, littleEndian), body, end);
      case Block.Packet:
        return this.readPacket(view, view.getUint16(body, littleEndian), body, end);
      case Block.Simple:
        return this.readSimple(view, body, end);
      case Block.Interface:
        return this.readInterface(view, body, end);
      default:
        return this.readSection(view, body);
    }
  }

  /** draft-ietf-opsawg-pcapng 4.1. */
  private readSection(view: DataView, body: number): string | null {
    const major = view.getUint16(body + 4, this.littleEndian);
    const minor = view.getUint16(body + 6, this.littleEndian);
    // 1.2 is written by some, and is 1.0.
    if (major !== 1 || (minor !== 0 && minor !== 2)) {
      return `version ${major}.${minor} of the format is not known`;
    }
    this.sourcesBefore += this.sources.length;
    this.sources = [];
    this.times = [];
    return null;
  }

  /** draft-ietf-opsawg-pcapng 4.2. */
  private readInterface(view: DataView, body: number, end: number): string | null {
    const { littleEndian, options } = this;
    if (this.sources.length === MAX_INTERFACES) return `more than ${MAX_INTERFACES} interfaces`;
    let name: string | null = null;
    let resolution = DEFAULT_RESOLUTION;
    let offsetSeconds = 0;
    options.start(view, body + INTERFACE_FIELDS, end, littleEndian);
    while (options.next()) {
      const { code, at, length } = options;
      if (code === Option.IfName) name = options.text(MAX_NAME_LEN);
      else if (code === Option.IfTsResol && length === 1) resolution = view.getUint8(at);
      else if (code === Option.IfTsOffset && length === 8) {
        offsetSeconds = Number(view.getBigInt64(at, littleEndian));
      }
    }
    if (options.tooLong >= 0) return optionTooLong(options.tooLong);
    const source: CaptureSource = {
      index: this.sourcesBefore + this.sources.length,
      linkType: view.getUint16(body, littleEndian),
      snapLen: view.getUint32(body + 4, littleEndian),
      name,
    };
    this.sources.push(source);
    this.times.push(new CaptureTime(resolution, offsetSeconds));
    this.output.onSource(source);
    return null;
  }

  /** Enhanced Packet Block and Packet Block differ in their first four bytes only. draft-ietf-opsawg-pcapng 4.3, A. */
  private readPacket(view: DataView, id: number, body: number, end: number): string | null {
    const { littleEndian, output } = this;
    const source = this.sources[id];
    const time = this.times[id];
    if (source === undefined || time === undefined)
      return `a packet of interface ${id}, which was not announced`;
    const len = view.getUint32(body + 12, littleEndian);
    const reason = lengthFault(len, end - body - PACKET_FIELDS);
    if (reason !== null) return reason;
    const { frame } = output;
    frame.comments = NO_COMMENTS;
    const options = body + PACKET_FIELDS + padded(len);
    if (options < end) {
      const fault = this.readComments(view, options, end);
      if (fault !== null) return fault;
    }
    time.read(view.getUint32(body + 4, littleEndian), view.getUint32(body + 8, littleEndian));
    frame.seconds = time.seconds;
    frame.nanoseconds = time.nanoseconds;
    frame.off = body + PACKET_FIELDS;
    frame.len = len;
    frame.wireLen = view.getUint32(body + 16, littleEndian);
    frame.source = source;
    frame.number++;
    output.onFrame(frame);
    return null;
  }

  private readComments(view: DataView, from: number, end: number): string | null {
    const { options } = this;
    const { frame } = this.output;
    const comments: string[] = [];
    options.start(view, from, end, this.littleEndian);
    while (options.next()) if (options.code === Option.Comment) comments.push(options.text());
    if (comments.length > 0) frame.comments = comments;
    return options.tooLong < 0 ? null : optionTooLong(options.tooLong);
  }

  /** It has neither time nor captured length: that follows from the snap length. draft-ietf-opsawg-pcapng 4.4. */
  private readSimple(view: DataView, body: number, end: number): string | null {
    const { frame, onFrame } = this.output;
    const source = this.sources[0];
    if (source === undefined) return 'a packet of interface 0, which was not announced';
    const wireLen = view.getUint32(body, this.littleEndian);
    const len = source.snapLen === 0 ? wireLen : Math.min(wireLen, source.snapLen);
    const reason = lengthFault(len, end - body - SIMPLE_FIELDS);
    if (reason !== null) return reason;
    frame.seconds = 0;
    frame.nanoseconds = 0;
    frame.off = body + SIMPLE_FIELDS;
    frame.len = len;
    frame.wireLen = wireLen;
    frame.source = source;
    frame.comments = NO_COMMENTS;
    frame.number++;
    onFrame(frame);
    return null;
  }
}

/** The shortest body of a block of `type` that we read, 0 for one that we do not. */
function leastBody(type: number): number {
  switch (type) {
    case Block.Enhanced:
    case Block.Packet:
      return PACKET_FIELDS;
    case Block.Simple:
      return SIMPLE_FIELDS;
    case Block.Interface:
      return INTERFACE_FIELDS;
    case Block.Section:
      return SECTION_FIELDS;
    default:
      return 0;
  }
}

/** What is wrong with a packet of `len` bytes where `room` are left of its block, or null. */
function lengthFault(len: number, room: number): string | null {
  if (len > MAX_SNAP_LEN) return `a packet of ${len} bytes, more than ${MAX_SNAP_LEN}`;
  return len > room ? `a packet of ${len} bytes in a block with room for ${room}` : null;
}

function lengthsDiffer(front: number, behind: number): string {
  return `a block of length ${front} in front and ${behind} behind`;
}

function optionTooLong(length: number): string {
  return `an option of ${length} bytes that goes beyond its block`;
}
