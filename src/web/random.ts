import type { Random } from '../base/random.ts';

/** Web Crypto's generator, asked for 1 KiB at a time. */
export class WebRandom implements Random {
  private readonly pool = new Int32Array(256);
  private left = 0;

  word(): number {
    if (this.left === 0) {
      crypto.getRandomValues(this.pool);
      this.left = this.pool.length;
    }
    const word = this.pool[--this.left]!;
    this.pool[this.left] = 0;
    return word;
  }
}
