// Captures byte by byte, as other software than ours would write them: what the tests of the reader read.

import type { CaptureDamage, CaptureFrame } from '../../src/pcap/frames.ts';
import { CaptureReader } from '../../src/pcap/reader.ts';

/** A frame of 60 bytes; what is in it does not matter to the reader. */
export const FRAME = Uint8Array.from({ length: 60 }, (_, i) => i + 1);
/** 2023-11-14 22:13:20 UTC. */
export const SECONDS = 1_700_000_000;

export function bytes(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

/** Writes numbers in one byte order. */
export class Numbers {
  readonly littleEndian: boolean;

  constructor(littleEndian = true) {
    this.littleEndian = littleEndian;
  }

  u16(...values: readonly number[]): Uint8Array {
    const view = new DataView(new ArrayBuffer(2 * values.length));
    for (const [i, value] of values.entries()) view.setUint16(2 * i, value, this.littleEndian);
    return new Uint8Array(view.buffer);
  }

  u32(...values: readonly number[]): Uint8Array {
    const view = new DataView(new ArrayBuffer(4 * values.length));
    for (const [i, value] of values.entries()) view.setUint32(4 * i, value, this.littleEndian);
    return new Uint8Array(view.buffer);
  }

  i64(value: bigint): Uint8Array {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigInt64(0, value, this.littleEndian);
    return new Uint8Array(view.buffer);
  }
}

export interface ClassicOptions {
  readonly magic?: number;
  readonly version?: readonly [major: number, minor: number];
  readonly snapLen?: number;
  readonly linkType?: number;
}

/** A classic capture in the making. */
export class Classic extends Numbers {
  header(options: ClassicOptions = {}): Uint8Array {
    const { magic = 0xa1b2c3d4, version = [2, 4], snapLen = 65535, linkType = 1 } = options;
    return bytes(this.u32(magic), this.u16(...version), this.u32(0, 0, snapLen, linkType));
  }

  record(seconds: number, fraction: number, data: Uint8Array, wireLen = data.length): Uint8Array {
    return bytes(this.u32(seconds, fraction, data.length, wireLen), data);
  }
}

/** A pcapng capture in the making. draft-ietf-opsawg-pcapng. */
export class Ng extends Numbers {
  block(type: number, body: Uint8Array, behind?: number): Uint8Array {
    const full = padding(body);
    const len = full.length + 12;
    return bytes(this.u32(type, len), full, this.u32(behind ?? len));
  }

  option(code: number, value: Uint8Array): Uint8Array {
    return bytes(this.u16(code, value.length), padding(value));
  }

  text(code: number, value: string): Uint8Array {
    return this.option(code, new Uint8Array(Buffer.from(value)));
  }

  section(major = 1, minor = 0): Uint8Array {
    return this.block(0x0a0d0d0a, bytes(this.u32(0x1a2b3c4d), this.u16(major, minor), this.i64(-1n)));
  }

  interface(options: Uint8Array = new Uint8Array(), linkType = 1, snapLen = 0): Uint8Array {
    return this.block(1, bytes(this.u16(linkType, 0), this.u32(snapLen), options));
  }

  /** An Enhanced Packet Block. */
  packet(id: number, time: bigint, data: Uint8Array, more: PacketMore = {}): Uint8Array {
    const { wireLen = data.length, len = data.length, options = new Uint8Array() } = more;
    const fields = this.u32(id, Number(time >> 32n), Number(time & 0xffffffffn), len, wireLen);
    return this.block(6, bytes(fields, padding(data), options));
  }

  oldPacket(id: number, time: bigint, data: Uint8Array, options: Uint8Array = new Uint8Array()): Uint8Array {
    const fields = this.u32(Number(time >> 32n), Number(time & 0xffffffffn), data.length, data.length);
    return this.block(2, bytes(this.u16(id, 0xffff), fields, padding(data), options));
  }

  simplePacket(data: Uint8Array, wireLen = data.length): Uint8Array {
    return this.block(3, bytes(this.u32(wireLen), data));
  }
}

interface PacketMore {
  readonly wireLen?: number;
  /** The captured length that the block claims. */
  readonly len?: number;
  readonly options?: Uint8Array;
}

function padding(data: Uint8Array): Uint8Array {
  return bytes(data, new Uint8Array(-data.length & 3));
}

export interface ReadFrame {
  readonly number: number;
  readonly time: string;
  readonly data: Uint8Array;
  readonly wireLen: number;
  readonly link: string;
  readonly comments: readonly string[];
}

/** What the reader says when the file comes in pieces that end at `cuts`, ascending. */
export function readInPieces(
  file: Uint8Array,
  cuts: readonly number[],
): { frames: ReadFrame[]; damage: CaptureDamage | null } {
  const frames: ReadFrame[] = [];
  const reader = new CaptureReader((frame) => frames.push(copyOf(frame)));
  let from = 0;
  for (const cut of [...cuts, file.length]) {
    // A copy that is spoilt after the call: what was lent must not be needed any more.
    const piece = file.slice(from, cut);
    reader.push(piece);
    piece.fill(0xa5);
    from = cut;
  }
  return { frames, damage: reader.end() };
}

export function read(...parts: readonly Uint8Array[]): ReturnType<typeof readInPieces> {
  return readInPieces(bytes(...parts), []);
}

function copyOf(frame: CaptureFrame): ReadFrame {
  const { number, memory, off, len, wireLen, source, comments } = frame;
  return {
    number,
    time: `${frame.seconds}.${String(frame.nanoseconds).padStart(9, '0')}`,
    data: memory.bytes.slice(off, off + len),
    wireLen,
    link: `${source.index} ${source.name ?? '-'} ${source.linkType} ${source.snapLen}`,
    comments,
  };
}
