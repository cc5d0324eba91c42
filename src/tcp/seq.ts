// Sequence numbers live in modulo 2^32 (RFC 9293 3.4). They are signed words; only this file compares them. All of it
// holds while the two are less than 2^31 apart.

/** a < b. */
export function seqLt(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

/** a <= b. */
export function seqLeq(a: number, b: number): boolean {
  return ((a - b) | 0) <= 0;
}

/** How far `b` is behind `a`: a - b, negative when it is ahead. */
export function seqDiff(a: number, b: number): number {
  return (a - b) | 0;
}

export function seqMax(a: number, b: number): number {
  return seqLt(a, b) ? b : a;
}

export function seqMin(a: number, b: number): number {
  return seqLt(a, b) ? a : b;
}
