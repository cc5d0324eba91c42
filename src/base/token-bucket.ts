import type { Ms } from './clock.ts';

/** Allows `perSecond` of something in the long run, and `burst` of them at once. Full at first. */
export class TokenBucket {
  private readonly perSecond: number;
  private readonly burst: number;
  private tokens: number;
  private filledAt: Ms;

  constructor(perSecond: number, burst: number, now: Ms) {
    this.perSecond = perSecond;
    this.burst = burst;
    this.tokens = burst;
    this.filledAt = now;
  }

  /** One of them, now? */
  take(now: Ms): boolean {
    this.tokens = Math.min(this.burst, this.tokens + ((now - this.filledAt) * this.perSecond) / 1000);
    this.filledAt = now;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }
}
