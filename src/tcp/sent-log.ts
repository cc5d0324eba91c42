// What is out: one record for each segment between sndUna and sndNxt, in the order of their sequence numbers. A record
// says where its segment ends, when it was sent last, and what is known of it:
//
//   Sacked  the peer has said by SACK that it is there
//   Lost    it is taken for lost and has not been sent again since
//   Resent  it was sent more than once
//
// A record that is neither Sacked nor Lost is in flight. Small segments that lie side by side may be sent again as one: then
// their records stay, since the peer may have some of it and not the rest, and have one time and one turn.
//
// The records lie in a circle of words that is made with the first of them, grows with them, and is given up when a
// connection has nothing out for a while. At most MAX_RECORDS: a sender with that many small segments out waits for an
// acknowledgment.
//
// What an ACK costs must not grow with what is out, whatever the peer says in it. So those in flight are a list in the
// order in which they were sent, and whoever looks for losses by time begins with the oldest and stops at the first that
// has time left. And a Sacked record says how many from it on are, so that a block that says again what is known is
// passed over in a few steps.

import type { Ms } from '../base/clock.ts';
import { seqDiff, seqLeq, seqLt } from './seq.ts';

export const Sent = { Sacked: 1, Lost: 2, Resent: 4 } as const;

const MAX_RECORDS = 4096;
const FIRST_RECORDS = 16;
/** Words of a record: its end, when it was sent, its flags, its turn among all sendings, and what is said below. */
const WORDS = 7;
/** Of a Sacked one: so many from it on are Sacked, it included; maybe more. */
const RUN = 4;
/** Of one in flight: where the words begin of the one that was sent before it, and after it, of those in flight. */
const BEFORE = 5;
const AFTER = 6;
const NONE = -1;

export class SentLog {
  count = 0;
  /** Sequence number where the first record begins, or the next one will. */
  start = 0;
  /** Bytes of records that are Sacked, and their number. */
  sackedBytes = 0;
  sackedCount = 0;
  /** Bytes of records that are Lost. */
  lostBytes = 0;
  private words: Int32Array | null = null;
  private head = 0;
  /** Sendings so far, modulo 2^32. */
  private sendings = 0;
  /** No record before this one is Lost. */
  private lostFrom = 0;
  /** Of those in flight the ones that were sent first and last: where their words begin. */
  private oldest = NONE;
  private newest = NONE;

  get isFull(): boolean {
    return this.room === 0;
  }

  /** So many more records it may have. */
  get room(): number {
    return MAX_RECORDS - this.count;
  }

  /** Sequence number behind record `i`. */
  end(i: number): number {
    return this.words![this.slot(i)]!;
  }

  seq(i: number): number {
    return i === 0 ? this.start : this.words![this.slot(i - 1)]!;
  }

  len(i: number): number {
    return seqDiff(this.end(i), this.seq(i));
  }

  /** When it was sent last: the low 32 bits of the clock, signed. Compare by difference, as sequence numbers. */
  sentAt(i: number): number {
    return this.words![this.slot(i) + 1]!;
  }

  /**
   * Its place in the order of all sendings: what a clock of whole milliseconds cannot say. Compare by difference; the same
   * for those that were sent in one segment.
   */
  order(i: number): number {
    return this.words![this.slot(i) + 3]!;
  }

  is(i: number, flag: number): boolean {
    return (this.words![this.slot(i) + 2]! & flag) !== 0;
  }

  /** Nothing is out, and the next segment begins at `start`. */
  clear(start: number): void {
    this.count = 0;
    this.start = start;
    this.sackedBytes = 0;
    this.sackedCount = 0;
    this.lostBytes = 0;
    this.lostFrom = 0;
    this.oldest = NONE;
    this.newest = NONE;
  }

  /** Gives up the storage where nothing is out. */
  shrink(): void {
    if (this.count === 0) this.words = null;
  }

  /** A segment up to `end` was sent behind the last one. */
  push(end: number, now: Ms, resent: boolean): void {
    if (this.words === null || (this.count + 1) * WORDS > this.words.length) this.grow();
    const at = this.slot(this.count);
    const words = this.words!;
    words[at] = end;
    words[at + 1] = now;
    words[at + 2] = resent ? Sent.Resent : 0;
    words[at + 3] = this.nextOrder();
    words[at + RUN] = 1;
    this.link(at);
    this.count++;
  }

  /** `count` segments of `len` bytes each were sent behind the last one, for the first time. */
  pushTrain(len: number, count: number, now: Ms): void {
    const start = this.count === 0 ? this.start : this.end(this.count - 1);
    for (let i = 1; i <= count; i++) this.push((start + i * len) | 0, now, false);
  }

  /** `count` records from `i` on were sent again, in one segment. What is Sacked of it was not, and stays what it is. */
  resend(i: number, count: number, now: Ms): void {
    const order = this.nextOrder();
    const words = this.words!;
    for (let j = i; j < i + count; j++) {
      const at = this.slot(j);
      if (words[at + 2]! & Sent.Sacked) continue;
      if (words[at + 2]! & Sent.Lost) this.lostBytes -= this.len(j);
      else this.unlink(at);
      words[at + 1] = now;
      words[at + 2] = (words[at + 2]! & ~Sent.Lost) | Sent.Resent;
      words[at + 3] = order;
      this.link(at);
    }
  }

  /** Everything before `ack` has arrived; records that end there or before are forgotten by shift(), not here. */
  trim(ack: number): void {
    const part = seqDiff(ack, this.start);
    if (this.is(0, Sent.Sacked)) this.sackedBytes -= part;
    else if (this.is(0, Sent.Lost)) this.lostBytes -= part;
    this.start = ack;
  }

  /** Forgets the first record. */
  shift(): void {
    const len = this.len(0);
    if (this.is(0, Sent.Sacked)) {
      this.sackedBytes -= len;
      this.sackedCount--;
    } else if (this.is(0, Sent.Lost)) this.lostBytes -= len;
    else this.unlink(this.head);
    this.start = this.end(0);
    this.head = (this.head + WORDS) % this.words!.length;
    this.count--;
    if (this.lostFrom > 0) this.lostFrom--;
  }

  /** How many records, from the first on, end at `seq` or before. */
  countTo(seq: number): number {
    const words = this.words!;
    let n = 0;
    for (let at = this.head; n < this.count && seqLeq(words[at]!, seq); n++) {
      at += WORDS;
      if (at === words.length) at = 0;
    }
    return n;
  }

  /** Forgets the first `n` records. All there are have been sent once and are in flight. */
  shiftInOrder(n: number): void {
    this.start = this.end(n - 1);
    this.head = this.slot(n);
    this.count -= n;
    this.lostFrom = Math.max(0, this.lostFrom - n);
    this.oldest = this.count === 0 ? NONE : this.head;
    if (this.count === 0) this.newest = NONE;
    else this.words![this.head + BEFORE] = NONE;
  }

  /** Record `i` has arrived. False: that was known. */
  markSacked(i: number): boolean {
    const at = this.slot(i);
    const flags = this.words![at + 2]!;
    if (flags & Sent.Sacked) return false;
    const len = this.len(i);
    if (flags & Sent.Lost) this.lostBytes -= len;
    else this.unlink(at);
    this.words![at + 2] = (flags & ~Sent.Lost) | Sent.Sacked;
    this.sackedBytes += len;
    this.sackedCount++;
    return true;
  }

  /** Record `i`, which is in flight, is taken for lost. */
  markLost(i: number): void {
    const at = this.slot(i);
    this.unlink(at);
    this.words![at + 2]! |= Sent.Lost;
    this.lostBytes += this.len(i);
    if (i < this.lostFrom) this.lostFrom = i;
  }

  /** All that has not arrived is lost; what was said to have arrived is believed no longer where `forget`. */
  markAllLost(forget: boolean): void {
    if (forget) {
      this.sackedBytes = 0;
      this.sackedCount = 0;
    }
    for (let i = 0; i < this.count; i++) {
      if (forget && this.is(i, Sent.Sacked)) this.forgetSacked(i);
      if (!this.is(i, Sent.Sacked | Sent.Lost)) this.markLost(i);
    }
  }

  /** What was taken for lost was not. */
  unmarkLost(): void {
    for (let i = this.lostFrom; i < this.count; i++) this.words![this.slot(i) + 2]! &= ~Sent.Lost;
    this.lostBytes = 0;
    const inFlight = Array.from({ length: this.count }, (_, i) => i).filter((i) => !this.is(i, Sent.Sacked));
    inFlight.sort((a, b) => (this.order(a) - this.order(b)) | 0);
    this.linkAll(inFlight);
  }

  /** Of those in flight the one that was sent first; -1: none is. */
  oldestInFlight(): number {
    return this.oldest === NONE ? -1 : this.indexOf(this.oldest);
  }

  /** The first record from `i` on that is not Sacked; count: none is. */
  firstUnsacked(i: number): number {
    let j = i;
    while (j < this.count && this.is(j, Sent.Sacked)) j += this.words![this.slot(j) + RUN]!;
    // Whoever comes this way again is there at once.
    for (let k = i; k < j; ) {
      const at = this.slot(k) + RUN;
      const next = k + this.words![at]!;
      this.words![at] = j - k;
      k = next;
    }
    return j;
  }

  /** The first record that is Lost; -1: none is. */
  firstLost(): number {
    if (this.lostBytes === 0) return -1;
    while (!this.is(this.lostFrom, Sent.Lost)) this.lostFrom++;
    return this.lostFrom;
  }

  /** How many records from `i` on, which is Lost, are so and hold at most `most` bytes together; at least one. */
  lostRun(i: number, most: number): number {
    const start = this.seq(i);
    let j = i + 1;
    while (j < this.count && this.is(j, Sent.Lost) && seqDiff(this.end(j), start) <= most) j++;
    return j - i;
  }

  /** The first record that begins at `seq` or behind it; count: none does. */
  from(seq: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (seqLt(this.seq(middle), seq)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Does record `i` end at `seq` or before? */
  endsBy(i: number, seq: number): boolean {
    return seqLeq(this.end(i), seq);
  }

  /** Record `i` is Sacked no longer, and in flight. */
  private forgetSacked(i: number): void {
    const at = this.slot(i);
    this.words![at + 2]! &= ~Sent.Sacked;
    this.words![at + RUN] = 1;
    this.link(at);
  }

  /** What was sent just now is in flight. */
  private link(at: number): void {
    const words = this.words!;
    words[at + BEFORE] = this.newest;
    words[at + AFTER] = NONE;
    if (this.newest === NONE) this.oldest = at;
    else words[this.newest + AFTER] = at;
    this.newest = at;
  }

  private unlink(at: number): void {
    const words = this.words!;
    const before = words[at + BEFORE]!;
    const after = words[at + AFTER]!;
    if (before === NONE) this.oldest = after;
    else words[before + AFTER] = after;
    if (after === NONE) this.newest = before;
    else words[after + BEFORE] = before;
  }

  /** The records of `inFlight`, in the order in which they were sent, and no others are in flight. */
  private linkAll(inFlight: readonly number[]): void {
    this.oldest = NONE;
    this.newest = NONE;
    for (const i of inFlight) this.link(this.slot(i));
  }

  private indexOf(at: number): number {
    const from = at - this.head;
    return (from < 0 ? from + this.words!.length : from) / WORDS;
  }

  private nextOrder(): number {
    this.sendings = (this.sendings + 1) | 0;
    return this.sendings;
  }

  private slot(i: number): number {
    const length = this.words!.length;
    const at = this.head + i * WORDS;
    return at < length ? at : at - length;
  }

  private grow(): void {
    const inFlight: number[] = [];
    for (let at = this.oldest; at !== NONE; at = this.words![at + AFTER]!) inFlight.push(this.indexOf(at));
    const larger = new Int32Array(
      Math.max(FIRST_RECORDS * WORDS, 2 * (this.words === null ? 0 : this.words.length)),
    );
    for (let i = 0; i < this.count; i++) {
      const at = this.slot(i);
      for (let w = 0; w < WORDS; w++) larger[i * WORDS + w] = this.words![at + w]!;
    }
    this.words = larger;
    this.head = 0;
    this.linkAll(inFlight);
  }
}
