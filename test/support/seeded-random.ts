import type { Random } from '../../src/base/random.ts';

/** A generator with a seed: mulberry32. The same seed gives the same words for ever. */
export class SeededRandom implements Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0;
  }

  word(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) | 0;
  }

  /** 0 (included) to 1 (excluded). */
  float(): number {
    return (this.word() >>> 0) / 4294967296;
  }

  /** 0..below-1. */
  below(below: number): number {
    return Math.floor(this.float() * below);
  }
}
