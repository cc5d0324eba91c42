import type { Memory } from '../base/memory.ts';

/** [off, off+len) of the arena as sockets take it: a view, not a copy. */
export function arenaView({ bytes }: Memory, off: number, len: number): Buffer {
  return Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset + off, len);
}
