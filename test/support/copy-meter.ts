import type { Memory } from '../../src/base/memory.ts';

/** Counts the bytes that are moved inside a Memory or into it from outside: each of its ways of doing that is wrapped. */
export class CopyMeter {
  /** Memory.copy, Memory.copySum, and bytes.set from outside. */
  moved = { copy: 0, copySum: 0, set: 0 };

  constructor(memory: Memory) {
    const { copy, copySum, bytes } = memory;
    const { moved } = this;
    const setBytes = bytes.set.bind(bytes);
    Object.assign(memory, {
      copy: (dst: number, src: number, len: number): void => {
        moved.copy += len;
        copy.call(memory, dst, src, len);
      },
      copySum: (dst: number, src: number, len: number): number => {
        moved.copySum += len;
        return copySum(dst, src, len);
      },
    });
    Object.assign(bytes, {
      set: (from: ArrayLike<number>, at?: number): void => {
        moved.set += from.length;
        setBytes(from, at);
      },
    });
  }

  get total(): number {
    return this.moved.copy + this.moved.copySum + this.moved.set;
  }
}
