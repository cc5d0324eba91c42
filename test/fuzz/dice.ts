import { SeededRandom } from '../support/seeded-random.ts';

/** Numbers at which programs have been wrong before. */
const EDGES = [
  0, 1, 2, 3, 4, 7, 8, 15, 16, 19, 20, 27, 28, 31, 32, 60, 63, 64, 127, 128, 254, 255, 256,
] as const;

/** The fuzzer's only source of chance. */
export class Dice extends SeededRandom {
  /** True `percent` times of a hundred. */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  /** from..to, both included. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** A number of `bits`, 8, 16 or 32: an edge, the end of the range, a power of two or one beside it, or any. */
  edge(bits: number): number {
    const way = this.below(6);
    const any = this.word() >>> 0;
    const value =
      way < 2
        ? this.pick(EDGES)
        : way === 2
          ? -1 - this.below(3)
          : way === 3
            ? 2 ** this.below(bits) + this.below(3) - 1
            : any;
    return bits === 32 ? value >>> 0 : (value >>> 0) % 2 ** bits;
  }
}
