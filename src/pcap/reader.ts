// Reads captures of either format as their bytes come in, in pieces of any size. A record that lies whole in the piece
// that was pushed is handed over where it is; one that does not is gathered in a buffer of its own, which grows with the
// bytes that come, never with what a record claims to be.
//
// The format reads: take() eats whole records and says how much it needs to see of the next one. This file brings the
// bytes.

import { type Memory, memoryOver } from '../base/memory.ts';
import type { CaptureDamage, CaptureFrame, CaptureSource, KeptFrame } from './frames.ts';
import { ClassicFormat } from './reader-classic.ts';
import { NgFormat } from './reader-ng.ts';
import { type FormatReader, FrameSlot, type ReaderOutput } from './reader-output.ts';

const MAGIC_LEN = 4;
const MIN_BUFFER_LEN = 4096;

/** How files begin that users take for captures, and what to do with them. */
const COMPRESSED: readonly (readonly [beginning: number, mask: number, by: string])[] = [
  [0x1f8b_0000, 0xffff_0000, 'gzip'],
  [0x28b5_2ffd, 0xffff_ffff, 'zstd'],
  [0x0422_4d18, 0xffff_ffff, 'lz4'],
  [0xfd37_7a58, 0xffff_ffff, 'xz'],
];

/**
 * Classic pcap (micro- and nanoseconds, both byte orders) and pcapng. Handles each frame as soon as its last byte is
 * there. A frame of more than 262144 bytes is damage, a pcapng block of more than a mebibyte too, if it matters.
 *
 * Of a capture of any length it keeps the beginning of one record, a mebibyte at most, and what is said of the interfaces
 * of one section, 16384 at most: more are damage.
 */
export class CaptureReader {
  private readonly output: ReaderOutput;
  private format: FormatReader | null = null;
  /** Bytes of the file that were pushed before the current call. */
  private position = 0;
  /** The beginning of a record that is not whole: [0, heldLen) of `held`, from `heldAt` of the file. */
  private held: Memory = memoryOver(new Uint8Array(MIN_BUFFER_LEN));
  private heldLen = 0;
  private heldAt = 0;

  /**
   * `onFrame` is called for every frame, in the file's order; a handler that throws ends the reading. `onSource` for every
   * interface, before its first frame.
   */
  constructor(onFrame: (frame: CaptureFrame) => void, onSource: (source: CaptureSource) => void = () => {}) {
    this.output = { frame: new FrameSlot(), onFrame, onSource, damage: null };
  }

  /** Any piece of the file, each behind the one before; lent for the call. Ignored once there is damage. */
  push(chunk: Uint8Array): void {
    if (this.output.damage !== null || chunk.length === 0) return;
    const memory = memoryOver(chunk);
    const end = chunk.length;
    let at = 0;
    while (this.heldLen > 0 && at < end && this.output.damage === null) at = this.topUp(memory, at);
    if (at < end && this.output.damage === null) this.takeFrom(memory, at);
    this.position += end;
  }

  /** Whether what was pushed so far is damaged: no further piece changes anything. */
  get isDamaged(): boolean {
    return this.output.damage !== null;
  }

  /** After the last piece. null: read to its end. Whatever came before the damage was handed over. */
  end(): CaptureDamage | null {
    const { output, format, position } = this;
    output.damage ??= format === null ? tooShort(position) : this.cutOff(format);
    return output.damage;
  }

  private cutOff(format: FormatReader): CaptureDamage | null {
    const offset = format.passingAt >= 0 ? format.passingAt : this.heldAt;
    if (this.heldLen === 0 && format.passingAt < 0) return null;
    const place = this.position - offset;
    return { offset, reason: `the file ends inside a ${format.unit}, ${place} bytes behind its beginning` };
  }

  /** Reads what is in the piece itself, and keeps the beginning of a record that goes on in the next one. */
  private takeFrom(memory: Memory, at: number): void {
    const end = memory.bytes.length;
    const stop = this.take(memory, at, end, this.position);
    if (this.output.damage !== null || stop === end) return;
    this.heldAt = this.position + stop;
    this.hold(memory, stop, end);
  }

  /** Adds to the record that is held what it needs of the piece from `at` on; returns the place behind that. */
  private topUp(memory: Memory, at: number): number {
    const wanted = (this.format?.needed ?? MAGIC_LEN) - this.heldLen;
    const stop = Math.min(at + wanted, memory.bytes.length);
    this.hold(memory, at, stop);
    if (stop - at < wanted) return stop;
    const taken = this.take(this.held, 0, this.heldLen, this.heldAt);
    this.held.copy(0, taken, this.heldLen - taken);
    this.heldLen -= taken;
    this.heldAt += taken;
    return stop;
  }

  private hold(from: Memory, off: number, end: number): void {
    const len = this.heldLen + end - off;
    if (len > this.held.bytes.length) {
      const larger = new Uint8Array(Math.max(len, 2 * this.held.bytes.length));
      larger.set(this.held.bytes.subarray(0, this.heldLen));
      this.held = memoryOver(larger);
    }
    this.held.bytes.set(from.bytes.subarray(off, end), this.heldLen);
    this.heldLen = len;
  }

  private take(memory: Memory, off: number, end: number, base: number): number {
    if (this.format === null) {
      if (end - off < MAGIC_LEN) return off;
      const { view } = memory;
      this.format = ClassicFormat.detect(view, off, this.output) ?? NgFormat.detect(view, off, this.output);
      if (this.format === null) {
        this.output.damage = { offset: 0, reason: notACapture(view.getUint32(off)) };
        return off;
      }
    }
    return this.format.take(memory, off, end, base);
  }
}

function tooShort(length: number): CaptureDamage {
  return { offset: 0, reason: length === 0 ? 'empty, not a capture' : `not a capture: ${length} bytes long` };
}

function notACapture(beginning: number): string {
  for (const [first, mask, by] of COMPRESSED) {
    if ((beginning & mask) === (first | 0)) return `compressed by ${by}; only plain captures are read`;
  }
  return `not a capture: it begins with 0x${beginning.toString(16).padStart(8, '0')}`;
}

/** A whole capture in memory, frames copied. */
export function readCapture(bytes: Uint8Array): {
  readonly frames: KeptFrame[];
  readonly sources: readonly CaptureSource[];
  readonly damage: CaptureDamage | null;
} {
  const frames: KeptFrame[] = [];
  const sources: CaptureSource[] = [];
  const reader = new CaptureReader(
    (frame) => frames.push(keepFrame(frame)),
    (source) => sources.push(source),
  );
  reader.push(bytes);
  return { frames, sources, damage: reader.end() };
}

/** A copy of a lent frame. */
export function keepFrame(frame: CaptureFrame): KeptFrame {
  const { number, seconds, nanoseconds, memory, off, len, wireLen, source, comments } = frame;
  return {
    ...{ number, seconds, nanoseconds, wireLen, source, comments },
    // Not subarray().slice(): of a Node Buffer that is no copy.
    bytes: Uint8Array.from(memory.bytes.subarray(off, off + len)),
  };
}
