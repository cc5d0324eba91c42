import type { Random } from './random.ts';

/** Words of a generator that is asked for 1 KiB at a time. */
export class RandomPool implements Random {
  private readonly fill: (words: Int32Array<ArrayBuffer>) => unknown;
  private readonly pool = new Int32Array(256);
  private left = 0;

  constructor(fill: (words: Int32Array<ArrayBuffer>) => unknown) {
    this.fill = fill;
  }

  word(): number {
    if (this.left === 0) {
      this.fill(this.pool);
      this.left = this.pool.length;
    }
    const word = this.pool[--this.left]!;
    this.pool[this.left] = 0;
    return word;
  }
}
