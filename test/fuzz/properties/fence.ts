// A memory with a fence: reading or writing anywhere but in one piece of it throws. What is around the piece is there, and
// is of a kind that would be noticed.

import fc from 'fast-check';
import { Memory, memoryOver } from '../../../src/base/memory.ts';

const AROUND = 0xa5;

/** `memory` may be touched in [off, off+len) only. */
export interface Fenced {
  readonly memory: Memory;
  readonly off: number;
  readonly len: number;
}

/** `content` between `before` bytes and `after` bytes that nobody may read. */
export function fenced(content: Uint8Array, before: number, after: number): Fenced {
  const bytes = new Uint8Array(before + content.length + after).fill(AROUND);
  bytes.set(content, before);
  const open = memoryOver(bytes);
  const touch = (off: number, len: number): void => {
    if (off < before || off + len > before + content.length)
      throw new Error(`[${off}, ${off + len}) is not in [${before}, ${before + content.length})`);
  };
  const memory = new Memory(bytes, {
    sum: (off, len) => {
      touch(off, len);
      return open.sum(off, len);
    },
    copySum: () => {
      throw new Error('nothing here copies');
    },
  });
  Object.defineProperty(memory, 'view', { value: new FencedView(bytes, touch) });
  return { memory, off: before, len: content.length };
}

type Touch = (off: number, len: number) => void;

class FencedView extends DataView<ArrayBufferLike> {
  private readonly touch: Touch;

  constructor(bytes: Uint8Array, touch: Touch) {
    super(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.touch = touch;
  }

  override getUint8(at: number): number {
    this.touch(at, 1);
    return super.getUint8(at);
  }

  override getUint16(at: number): number {
    this.touch(at, 2);
    return super.getUint16(at);
  }

  override getUint32(at: number): number {
    this.touch(at, 4);
    return super.getUint32(at);
  }

  override getInt32(at: number): number {
    this.touch(at, 4);
    return super.getInt32(at);
  }

  override setUint8(at: number, value: number): void {
    this.touch(at, 1);
    super.setUint8(at, value);
  }

  override setUint16(at: number, value: number): void {
    this.touch(at, 2);
    super.setUint16(at, value);
  }

  override setInt32(at: number, value: number): void {
    this.touch(at, 4);
    super.setInt32(at, value);
  }
}

/** Any bytes, behind a fence. */
export function anyFenced(maxLength = 200): fc.Arbitrary<Fenced> {
  const content = fc.uint8Array({ maxLength });
  return fc
    .tuple(content, fc.nat(20), fc.nat(20))
    .map(([bytes, before, after]) => fenced(bytes, before, after));
}

/** A frame that begins like one of `frames` and is changed here and there, behind a fence. */
export function mutantOf(frames: readonly Uint8Array[], skip: number): fc.Arbitrary<Fenced> {
  const change = fc.tuple(fc.nat(600), fc.nat(255));
  return fc
    .tuple(fc.constantFrom(...frames), fc.array(change, { maxLength: 4 }), fc.nat(600), fc.nat(8))
    .map(([frame, changes, cut, around]) => {
      const content = Uint8Array.from(frame.subarray(skip));
      for (const [at, value] of changes) if (content.length > 0) content[at % content.length] = value;
      return fenced(cut < 400 ? content : content.subarray(0, cut % (content.length + 1)), around, around);
    });
}

export const u8 = fc.nat(0xff);
export const u16 = fc.nat(0xffff);
/** A word, signed. */
export const i32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
