// Which bytes beyond rcvNxt have come already: a few ranges of sequence numbers, ordered, disjoint and not touching. The
// bytes themselves are in the receive ring, at their place. At most MAX_RANGES: a segment that would need one more is
// refused, so that a guest cannot make the list long by sending every second byte.

import { seqDiff, seqLt } from './seq.ts';

const MAX_RANGES = 32;

export class Gaps {
  count = 0;
  private readonly edges: number[] = [];
  /** Left edge of the range that changed last: the first SACK block (RFC 2018 4). */
  private recent = 0;

  left(i: number): number {
    return this.edges[2 * i]!;
  }

  right(i: number): number {
    return this.edges[2 * i + 1]!;
  }

  /** Does a range end behind `at`? */
  reachBeyond(at: number): boolean {
    return this.count > 0 && seqLt(at, this.right(this.count - 1));
  }

  /** Adds [from, to), merging with what it overlaps or touches. False, and nothing done, when the list is full. */
  add(from: number, to: number): boolean {
    let i = 0;
    while (i < this.count && seqLt(this.right(i), from)) i++;
    let j = i;
    let left = from;
    let right = to;
    while (j < this.count && seqDiff(this.left(j), to) <= 0) {
      if (seqLt(this.left(j), left)) left = this.left(j);
      if (seqLt(right, this.right(j))) right = this.right(j);
      j++;
    }
    if (i === j && this.count >= MAX_RANGES) return false;
    this.edges.splice(2 * i, 2 * (j - i), left, right);
    this.count += 1 - (j - i);
    this.recent = left;
    return true;
  }

  /**
   * Everything up to `upTo` has come in order: forgets it. Returns the sequence number up to which bytes are there
   * without a gap from `upTo` on.
   */
  joinFrom(upTo: number): number {
    let end = upTo;
    while (this.count > 0 && seqDiff(this.left(0), end) <= 0) {
      if (seqLt(end, this.right(0))) end = this.right(0);
      this.edges.splice(0, 2);
      this.count--;
    }
    return end;
  }

  /** Index of the range to report first. */
  get recentIndex(): number {
    for (let i = 0; i < this.count; i++) if (this.left(i) === this.recent) return i;
    return 0;
  }
}
