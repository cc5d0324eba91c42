import { randomFillSync } from 'node:crypto';
import type { Random } from '../base/random.ts';

/** The operating system's generator, asked for 1 KiB at a time. */
export class NodeRandom implements Random {
  private readonly pool = new Int32Array(256);
  private left = 0;

  word(): number {
    if (this.left === 0) {
      randomFillSync(this.pool);
      this.left = this.pool.length;
    }
    const word = this.pool[--this.left]!;
    this.pool[this.left] = 0;
    return word;
  }
}
