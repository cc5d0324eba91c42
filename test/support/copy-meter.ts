import type { Memory, TrainKernel } from '../../src/base/memory.ts';

/** Counts the bytes that are moved inside a Memory or into it from outside: each of its ways of doing that is wrapped. */
export class CopyMeter {
  /** Memory.copy, Memory.copySum and what the kernel does so of trains, and bytes.set from outside. */
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
    const { trains } = memory;
    if (trains !== null) Object.assign(memory, { trains: this.metered(trains) });
    Object.assign(bytes, {
      set: (from: ArrayLike<number>, at?: number): void => {
        moved.set += from.length;
        setBytes(from, at);
      },
    });
  }

  /** Headers are made, not moved. */
  private metered(trains: TrainKernel): TrainKernel {
    const { moved } = this;
    return {
      ...trains,
      takeTrain: (...args) => {
        const at = trains.takeTrain(...args);
        moved.copySum += trains.bytesTaken();
        return at;
      },
      makeTrain: (first, len, header, src, count) => {
        trains.makeTrain(first, len, header, src, count);
        moved.copySum += count * (len - header);
      },
    };
  }

  get total(): number {
    return this.moved.copy + this.moved.copySum + this.moved.set;
  }
}
