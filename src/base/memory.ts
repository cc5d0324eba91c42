// Bytes with their checksum. A Memory is one Uint8Array, one DataView over it, and what touches payload: sum() and copySum(),
// and `trains` for whole trains of frames. Where the bytes live in a WebAssembly.Memory these are the SIMD kernel;
// elsewhere, and where WebAssembly is refused, the two have a JavaScript twin that gives the same answers, and trains go
// frame by frame.

import { KERNEL_HEX } from './kernel-bytes.ts';

/** Wasm pages are 64 KiB. */
const PAGE = 65536;

/** What the kernel does with whole trains of frames: see src/kernel/train.ts, which says what a train is. */
export interface TrainKernel {
  /** Returns where the first frame begins, its prefix, that was not taken. */
  takeTrain(
    first: number,
    at: number,
    end: number,
    next: number,
    tsRecent: number,
    to: number,
    room: number,
    most: number,
  ): number;
  /** Of the last takeTrain(): how many frames, the bytes of their payloads, and of the last one's. */
  framesTaken(): number;
  bytesTaken(): number;
  lastTaken(): number;
  makeTrain(first: number, len: number, header: number, src: number, count: number): void;
}

interface Sums {
  sum(off: number, len: number): number;
  copySum(dst: number, src: number, len: number): number;
}

interface WasmApi {
  Memory: new (descriptor: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: object };
}

/** The bytes of an arena or of a link, and the ways to look at them. */
export class Memory {
  /** The whole of it; in Node a Buffer, so that sockets take views of it as they are. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /**
   * Sum of the big-endian 16-bit words in [off, off+len), folded to 16 bits; an odd last byte is padded with zero on
   * the right. RFC 1071. `len` at most 524288.
   */
  readonly sum: (off: number, len: number) => number;
  /** Copies [src, src+len) to dst, which must not overlap it, and returns sum(src, len). */
  readonly copySum: (dst: number, src: number, len: number) => number;
  /** null without WebAssembly: there frames go one by one. */
  readonly trains: TrainKernel | null;

  constructor(bytes: Uint8Array, sums: Sums | null, trains: TrainKernel | null = null) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const { view } = this;
    this.trains = trains;
    this.sum = sums?.sum ?? ((off, len) => sumWords(view, off, len));
    this.copySum =
      sums?.copySum ??
      ((dst, src, len) => {
        bytes.copyWithin(dst, src, src + len);
        return sumWords(view, src, len);
      });
  }

  /** Copies [src, src+len) to dst; they may overlap. */
  copy(dst: number, src: number, len: number): void {
    this.bytes.copyWithin(dst, src, src + len);
  }
}

/** A Memory over bytes that somebody else owns, lent for as long as the Memory is used. Sums in JavaScript. */
export function memoryOver(bytes: Uint8Array): Memory {
  return new Memory(bytes, null);
}

/** How a view of the arena is made from its buffer: Node passes `Buffer.from`, so that its sockets see a Buffer. */
export type ViewMaker = (buffer: ArrayBuffer) => Uint8Array;

/**
 * A new Memory of `size` bytes, a multiple of 64 KiB, all zero. It never grows, so views stay valid; what is not
 * touched costs no resident memory. `kernel: 'js'` asks for the JavaScript twin.
 */
export function createMemory(size: number, makeView: ViewMaker, kernel: 'wasm' | 'js' = 'wasm'): Memory {
  const wasm = (globalThis as { WebAssembly?: WasmApi }).WebAssembly;
  const module = kernel === 'js' || wasm === undefined ? null : compileKernel(wasm);
  if (wasm === undefined || module === null) return new Memory(makeView(new ArrayBuffer(size)), null);
  const pages = size / PAGE;
  const memory = new wasm.Memory({ initial: pages, maximum: pages });
  const instance = new wasm.Instance(module, { env: { memory } });
  const compiled = instance.exports as Sums & TrainKernel;
  return new Memory(makeView(memory.buffer), compiled, compiled);
}

/** null where the kernel is refused: by a page's Content-Security-Policy, by an engine without SIMD. */
function compileKernel(wasm: WasmApi): object | null {
  try {
    return new wasm.Module(fromHex(KERNEL_HEX));
  } catch {
    return null;
  }
}

function fromHex(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Four getInt32 a step: three times faster than byte pairs on V8. `len` at most 65535 a round, so 32 bits hold it. */
function sumWords(view: DataView, off: number, len: number): number {
  let sum = 0;
  let i = off;
  const end = off + len;
  while (i < end) {
    const stop = Math.min(end, i + 32768);
    for (const stop16 = i + ((stop - i) & ~15); i < stop16; i += 16) {
      const a = view.getInt32(i);
      const b = view.getInt32(i + 4);
      const c = view.getInt32(i + 8);
      const d = view.getInt32(i + 12);
      sum = (sum + (a >>> 16) + (a & 0xffff) + (b >>> 16) + (b & 0xffff)) | 0;
      sum = (sum + (c >>> 16) + (c & 0xffff) + (d >>> 16) + (d & 0xffff)) | 0;
    }
    for (; i + 1 < stop; i += 2) sum += view.getUint16(i);
    if (i < stop) {
      sum += view.getUint8(i) << 8;
      i++;
    }
    sum = fold(sum);
  }
  return sum;
}

/** A 32-bit one's-complement sum folded to 16 bits. RFC 1071 4.1. */
export function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/** A folded sum of bytes that begin at an odd place of the whole: its bytes change places. RFC 1071 2 (B). */
export function atOddOffset(sum: number): number {
  return ((sum & 0xff) << 8) | (sum >>> 8);
}
