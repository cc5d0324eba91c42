// What of the bytes beyond rcvNxt has come already, and what of that the peer is still to hear. The bytes themselves are
// in the receive ring, at their place; here are their sequence numbers.
//
// Ranges are kept in order, disjoint and not touching, three words each in one array: left edge, right edge, and a stamp
// that counts changes, so that the range with the highest stamp is the one of the most recent segment (RFC 2018 4). A
// segment nearly always belongs to the last ranges: the search begins there and is binary. At most MAX_RANGES, so that a
// peer cannot make the list long by sending every second byte: a segment that would need one more is refused. The array
// grows with the ranges and goes with the last of them: a flow without a gap holds none. A list that is full costs an
// ACK about a microsecond.
//
// News. Acknowledgments go out once a turn, and an option holds four blocks at most. `reported` is the stamp up to which
// every range was said; pick() takes the oldest news first where there is more than fits, so that further ACKs of the
// same turn say the rest.
//
// Duplicates. What came a second time is kept until the next ACK says it, once (D-SACK, RFC 2883 4). A few of them: the
// peer loses a hint where more come in one turn, no byte.

import { seqDiff, seqLeq, seqLt } from './seq.ts';

/** A window of 4 MiB that loses one segment in ten at random has about as many. */
const MAX_RANGES = 256;
const MIN_RANGES = 8;
/** Words of a range: left, right, stamp. */
const WORDS = 3;
const MAX_DUPLICATES = 4;
const NO_RANGES = new Int32Array(0);

export class Gaps {
  count = 0;
  /** The first part of the last add() that had come before; empty, `from` equal to `to`, when all of it was new. */
  duplicateFrom = 0;
  duplicateTo = 0;
  private words = NO_RANGES;
  /** Stamp of the last change, and of the last one that the peer has heard of. */
  private changes = 0;
  private reported = 0;
  /** Left and right edges of duplicates that are not reported, oldest first. */
  private duplicates: number[] | null = null;

  left(i: number): number {
    return this.words[WORDS * i]!;
  }

  right(i: number): number {
    return this.words[WORDS * i + 1]!;
  }

  /** Does a range end behind `at`? */
  reachBeyond(at: number): boolean {
    return this.count > 0 && seqLt(at, this.right(this.count - 1));
  }

  /** Adds [from, to), merging with what it overlaps or touches. False, and nothing done, when the list is full. */
  add(from: number, to: number): boolean {
    this.duplicateFrom = this.duplicateTo;
    const i = this.firstEndingAtOrBehind(from);
    let j = i;
    let left = from;
    let right = to;
    while (j < this.count && seqDiff(this.left(j), to) <= 0) {
      this.noteOverlap(j, from, to);
      if (seqLt(this.left(j), left)) left = this.left(j);
      if (seqLt(right, this.right(j))) right = this.right(j);
      j++;
    }
    if (i === j && this.count >= MAX_RANGES) return false;
    this.replace(i, j, left, right);
    return true;
  }

  /**
   * Everything up to `upTo` has come in order: forgets it. Returns the sequence number up to which bytes are there
   * without a gap from `upTo` on.
   */
  joinFrom(upTo: number): number {
    let end = upTo;
    let joined = 0;
    while (joined < this.count && seqDiff(this.left(joined), end) <= 0) {
      if (seqLt(end, this.right(joined))) end = this.right(joined);
      joined++;
    }
    if (joined === 0) return end;
    this.words.copyWithin(0, WORDS * joined, WORDS * this.count);
    this.count -= joined;
    if (this.count === 0) {
      this.words = NO_RANGES;
      this.changes = 0;
      this.reported = 0;
    }
    return end;
  }

  /** Is there a range that has changed since the peer was told? */
  get hasNews(): boolean {
    return this.changes !== this.reported;
  }

  /** Index of the range that holds [from, to), or -1. */
  rangeOf(from: number, to: number): number {
    const i = this.firstEndingAtOrBehind(to);
    return i < this.count && seqLeq(this.left(i), from) ? i : -1;
  }

  /**
   * Up to `room` ranges to report, the one that changed last first: indices into `to`, how many is returned. Not `except`,
   * which is reported already, -1 for none. They are news no longer. RFC 2018 4.
   */
  pick(to: Int32Array, room: number, except: number): number {
    if (this.countNews(except, room + 1) <= room) {
      this.reported = this.changes;
      return room === 0 ? 0 : this.selectLatest(to, room, except);
    }
    if (room === 0) return 0;
    const picked = this.selectOldestNews(to, room, except);
    this.reported = this.stamp(to[0]!);
    return picked;
  }

  /** [from, to) has come before: to be said in the next ACK. What follows on the last one is one with it. */
  noteDuplicate(from: number, to: number): void {
    this.duplicates ??= [];
    const { duplicates } = this;
    const last = duplicates.length - 1;
    if (last > 0 && duplicates[last] === from) duplicates[last] = to;
    else if (duplicates.length < 2 * MAX_DUPLICATES) duplicates.push(from, to);
  }

  get hasDuplicates(): boolean {
    return this.duplicates !== null;
  }

  /** The oldest duplicate. Only where hasDuplicates. */
  get firstDuplicate(): readonly [number, number] {
    const [from, to] = this.duplicates!;
    return [from!, to!];
  }

  /** It was reported. RFC 2883 4: each one once. */
  dropDuplicate(): void {
    const { duplicates } = this;
    if (duplicates === null || duplicates.length <= 2) this.duplicates = null;
    else duplicates.splice(0, 2);
  }

  private stamp(i: number): number {
    return this.words[WORDS * i + 2]!;
  }

  /** Ranges that are news, `except` apart; no further than one more than `most`. */
  private countNews(except: number, most: number): number {
    if (!this.hasNews) return 0;
    const { words, reported } = this;
    const end = WORDS * this.count;
    let n = 0;
    for (let at = 2; at < end && n <= most; at += WORDS) if (((words[at]! - reported) | 0) > 0) n++;
    return except >= 0 && ((this.stamp(except) - reported) | 0) > 0 ? n - 1 : n;
  }

  /** The `room` ranges that changed last, the last one first. */
  private selectLatest(to: Int32Array, room: number, except: number): number {
    const { words, count } = this;
    let n = 0;
    // What a range must be newer than to get in. From the right: the latest are mostly there.
    let bar = 0;
    for (let i = count - 1; i >= 0; i--) {
      const stamp = words[WORDS * i + 2]!;
      if (i === except || (n === room && ((stamp - bar) | 0) <= 0)) continue;
      let at = n === room ? n - 1 : n++;
      for (; at > 0 && ((stamp - this.stamp(to[at - 1]!)) | 0) > 0; at--) to[at] = to[at - 1]!;
      to[at] = i;
      bar = this.stamp(to[n - 1]!);
    }
    return n;
  }

  /** The `room` ranges of the news that changed first, the last of them first. There are more. */
  private selectOldestNews(to: Int32Array, room: number, except: number): number {
    const { words, count, reported } = this;
    let n = 0;
    for (let i = 0; i < count; i++) {
      const stamp = words[WORDS * i + 2]!;
      if (i === except || ((stamp - reported) | 0) <= 0) continue;
      if (n === room && ((stamp - this.stamp(to[0]!)) | 0) >= 0) continue;
      // Among those that are older; where there is no room the youngest goes.
      let at = 0;
      if (n === room)
        for (; at + 1 < n && ((stamp - this.stamp(to[at + 1]!)) | 0) < 0; at++) to[at] = to[at + 1]!;
      else for (at = n++; at > 0 && ((stamp - this.stamp(to[at - 1]!)) | 0) > 0; at--) to[at] = to[at - 1]!;
      to[at] = i;
    }
    return n;
  }

  /** Index of the first range whose right edge is at `at` or behind it. */
  private firstEndingAtOrBehind(at: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      // The last one first: it is the right one for a peer that sends on behind a loss.
      const middle = high === this.count ? high - 1 : (low + high) >> 1;
      if (seqLt(this.right(middle), at)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private noteOverlap(i: number, from: number, to: number): void {
    if (this.duplicateFrom !== this.duplicateTo) return;
    const left = seqLt(from, this.left(i)) ? this.left(i) : from;
    const right = seqLt(this.right(i), to) ? this.right(i) : to;
    if (!seqLt(left, right)) return;
    this.duplicateFrom = left;
    this.duplicateTo = right;
  }

  /** Ranges [i, j) become one. */
  private replace(i: number, j: number, left: number, right: number): void {
    const count = this.count + 1 - (j - i);
    if (WORDS * count > this.words.length) this.grow();
    const { words } = this;
    if (i + 1 !== j) words.copyWithin(WORDS * (i + 1), WORDS * j, WORDS * this.count);
    this.count = count;
    this.changes = (this.changes + 1) | 0;
    words[WORDS * i] = left;
    words[WORDS * i + 1] = right;
    words[WORDS * i + 2] = this.changes;
  }

  private grow(): void {
    const words = new Int32Array(Math.max(WORDS * MIN_RANGES, 2 * this.words.length));
    words.set(this.words);
    this.words = words;
  }
}
