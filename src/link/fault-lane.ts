// One direction of a link that is bad on purpose. A frame that comes is given its fate by the seed, then it leaves at the
// rate, then it is on its way for the delay:
//
//   commit() -> lost? -> queue in front of the rate -> delay and jitter -> LaneEnd.take()
//                                                  \-> reordered: no delay, or held for the next frame
//
// The fate of the n-th frame is the n-th group of six words of a generator, drawn for every frame whatever becomes of
// it: it depends on nothing but the seed, the direction and n. Times are microseconds of the clock, with a fraction. When
// a frame leaves is computed from when the one before it left, not from when we woke, so nothing adds up; what the queue
// holds is computed too, from the times at which its frames begin to leave.
//
// Frames wait in two queues, each in the order of its times: `line`, and `aside` for what was picked to be reordered. With
// a delay that is what skips it. Without one it is what is held for the next frame that is not: when that joins the line,
// they follow it. Only when no such frame has come is the hold over at some time, and never before the line, as it was
// then, has gone: what is held is younger than all of it. Those that are due are handed on in a turn, so many at most,
// the others in the next.
//
// Memory. A frame that finds none is refused by reserve() where the lane has no rate: the sender waits. With a rate the
// lane is a narrow place, which takes frames at any time and drops what it cannot keep; so it then lets the frame be
// built in a place of its own that is not kept. accept() can refuse nobody, and drops.
//
// Waking up. For a long delay whole milliseconds are fine enough: one timer, for the frame that is due first. For a short
// one they are not, nor with a rate: at 100 Mbit/s eight full frames leave in a millisecond, and handed on together they
// would be a burst in front of whatever comes behind. So that is a FineTimer, and while a frame is less than 1.5 ms from
// being due, the process keeps one CPU busy.

import { type Micros, NEVER } from '../base/clock.ts';
import { FineTimer } from '../base/fine-timer.ts';
import type { Memory } from '../base/memory.ts';
import { Timer } from '../base/timers.ts';
import type { Budget } from '../base/turn.ts';
import { Xoshiro } from '../base/xoshiro.ts';
import { DEFAULT_QUEUE, type FaultFigures } from './fault-options.ts';
import type { FaultCounts } from './fault-stats.ts';
import { FrameRing, FrameStore } from './frame-store.ts';
import type { LinkHost } from './link.ts';

/** What one turn hands on. */
const FRAMES_PER_TURN = 64;
const BYTES_PER_TURN = 262144;

/** How long a frame is held for another to overtake it, when none comes. */
const HOLD_MICROS = 3000;

/** What is on its way for less is released at its microsecond. Waiting for that keeps a CPU busy, at any delay as much. */
const FINE_BELOW_MS = 5;

/** Where a lane ends. */
export interface LaneEnd {
  /** The longest frame that reserve() is asked for; 0 where frames come by accept() only. */
  readonly maxFrame: number;
  /** Of what take() does, where that is a guest's. */
  readonly budget: Budget | null;
  /**
   * Takes the frame at [off, off+len), lent for the call; false when it has no room, then unblock() follows. Called
   * inside a turn's ingress, or inside commit() of a lane without any delay that is `direct`.
   */
  take(off: number, len: number): boolean;
  /** There is room again after reserve() said no. Called inside a turn's ingress. */
  onRoom(): void;
}

export class FaultLane {
  readonly counts: Mutable<FaultCounts> = { ...NOTHING_YET };
  private readonly host: LinkHost;
  private readonly memory: Memory;
  private readonly end: LaneEnd;
  private readonly fate: Fate;
  private readonly delayMicros: number;
  private readonly jitterMicros: number;
  /** 0: there is no rate. */
  private readonly microsPerByte: number;
  private readonly queue: number;
  /** A frame that is due when it comes is handed on at once. */
  private readonly direct: boolean;

  private readonly store: FrameStore;
  private readonly line = new FrameRing();
  private readonly aside = new FrameRing();
  /** When each frame in front of the rate begins to leave. */
  private readonly starts = new FrameRing();
  /** When the last frame has left. */
  private leftAt: Micros = 0;
  /** When the last frame of `line` is due. */
  private lastDue: Micros = 0;

  private reservedAt = -1;
  /** Somebody was told -1 and not yet told otherwise. */
  private refused = false;
  /** take() said false and unblock() has not come. */
  private blocked = false;
  private closed = false;
  private passing = false;
  /** What pass() hands on, until it is done with all of it: recall() shows it. */
  private readonly batch = new FrameRing();

  private readonly isFine: boolean;
  private readonly timer = new Timer(() => this.run());
  private readonly fine: FineTimer;

  /** Throws when the arena has no room for what an idle lane holds. */
  constructor(host: LinkHost, figures: FaultFigures, fate: Fate, end: LaneEnd, direct: boolean) {
    const { delay = 0, jitter = 0, rate = 0, queue = DEFAULT_QUEUE } = figures;
    this.host = host;
    this.memory = host.arena.memory;
    this.end = end;
    this.fate = fate;
    this.delayMicros = delay * 1000;
    this.jitterMicros = jitter * 1000;
    this.microsPerByte = rate === 0 ? 0 : 8e6 / rate;
    this.queue = queue;
    const longest = delay + jitter;
    this.isFine = rate > 0 || (longest > 0 && longest < FINE_BELOW_MS);
    this.direct = direct && longest === 0 && rate === 0;
    this.store = new FrameStore(host.arena, rate === 0 ? 0 : end.maxFrame);
    this.fine = new FineTimer(host.timers, this.run);
  }

  /** See Link.reserve. */
  reserve(maxLen: number): number {
    const { store } = this;
    let at = this.hasRoom ? store.place(maxLen) : -1;
    if (at < 0 && !this.closed && maxLen <= store.spareLen) at = store.spare;
    if (at < 0) this.refused = true;
    this.reservedAt = at;
    return at;
  }

  /** The reserved frame, `len` bytes of it, goes its way. Never calls LaneEnd.onRoom. */
  commit(len: number): void {
    const off = this.reservedAt;
    this.reservedAt = -1;
    if (off >= 0) this.meetFate(off === this.store.spare ? -1 : off, len);
  }

  /** A frame that the other side does not wait with: at [off, off+len), lent for the call. */
  accept(off: number, len: number): void {
    if (this.closed) return;
    const at = this.store.place(len);
    if (at >= 0) this.memory.copy(at, off, len);
    this.meetFate(at, len);
  }

  /** The frame is where place() said, or nowhere: -1. */
  private meetFate(off: number, len: number): void {
    const { fate, counts, memory } = this;
    fate.draw();
    if (fate.isLost) {
      counts.lost++;
      return;
    }
    const now = this.host.clock.micros();
    const entered = this.enter(off, len, now);
    if (fate.isDuplicated) {
      counts.duplicated++;
      const copy = off < 0 ? -1 : this.store.place(len);
      if (copy >= 0) memory.copy(copy, off, len);
      this.enter(copy, len, now);
    }
    if (entered && fate.isCorrupted && len > 0) {
      counts.corrupted++;
      memory.bytes[off + fate.byteIn(len)]! ^= fate.bitMask;
    }
    if (this.direct && !this.passing && !this.blocked) this.pass();
    this.schedule();
  }

  /** take() has room again. Called inside a turn's ingress. */
  unblock(): void {
    this.blocked = false;
    this.run();
  }

  /** What is on its way is lost, and the arena has everything back when the call that is handing on frames returns. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.host.timers.disarm(this.timer);
    this.fine.disarm();
    this.counts.cutOff += this.counts.waiting;
    this.counts.waiting = 0;
    this.line.clear();
    this.aside.clear();
    this.starts.clear();
    this.reservedAt = -1;
    if (!this.passing) this.store.free();
  }

  /** Frames that were handed on in the turn that threw. */
  recallBatch(show: (off: number, len: number) => void): void {
    if (!this.closed) this.batch.each(show);
  }

  recallWaiting(show: (off: number, len: number) => void): void {
    // What is held is younger than the line; what skips the delay comes out before it.
    if (!this.holds) this.aside.each(show);
    this.line.each(show);
    if (this.holds) this.aside.each(show);
  }

  private get hasRoom(): boolean {
    if (this.closed || this.store.full) return false;
    // In front of a rate frames wait, and are dropped, as if the link took them at any time.
    return !this.blocked || this.microsPerByte > 0;
  }

  /** Puts the frame that place() was asked for on its way. False when it is dropped, as one that is nowhere (-1) is. */
  private enter(off: number, len: number, now: Micros): boolean {
    const { counts, starts } = this;
    while (starts.at <= now) starts.shift();
    if (starts.count >= this.queue) counts.queueFull++;
    else if (off < 0) counts.noMemory++;
    else {
      this.store.keep(len);
      counts.waiting++;
      const leaves = this.leave(len, now);
      if (this.fate.isReordered) this.putAside(leaves, off, len);
      else this.putInLine(leaves, off, len);
      return true;
    }
    return false;
  }

  /** When a frame that comes now has left, at the rate. */
  private leave(len: number, now: Micros): Micros {
    if (this.microsPerByte === 0) return now;
    const begins = Math.max(now, this.leftAt);
    if (begins > now) this.starts.push(begins, 0, 0);
    this.leftAt = begins + len * this.microsPerByte;
    return this.leftAt;
  }

  private putAside(leaves: Micros, off: number, len: number): void {
    const { aside, line, lastDue } = this;
    if (this.holds) {
      aside.push(Math.max(leaves + HOLD_MICROS, lastDue), off, len);
      return;
    }
    if (line.count > 0 && leaves <= lastDue) this.counts.reordered++;
    aside.push(leaves, off, len);
  }

  private putInLine(leaves: Micros, off: number, len: number): void {
    const { aside, line } = this;
    const delay = Math.max(0, this.delayMicros + this.fate.jitter * this.jitterMicros);
    this.lastDue = Math.max(this.lastDue, leaves + delay);
    line.push(this.lastDue, off, len);
    if (!this.holds) return;
    // Those that were held for this one come right behind it.
    for (; aside.count > 0; aside.shift()) {
      line.push(this.lastDue, aside.off, aside.len);
      this.counts.reordered++;
    }
  }

  /** Without a delay to skip, what is reordered is held. */
  private get holds(): boolean {
    return this.delayMicros === 0;
  }

  /** One turn's worth of what is due, and what else is to be done in a turn's ingress. */
  private readonly run = (): void => {
    if (this.closed || this.passing) return;
    if (!this.blocked) this.pass();
    if (this.closed) return;
    if (this.refused && this.hasRoom) {
      this.refused = false;
      this.end.onRoom();
    }
    this.schedule();
  };

  private pass(): void {
    const now = this.host.clock.micros();
    this.forgetBatch();
    this.passing = true;
    let done = false;
    try {
      this.passDue(now);
      done = true;
    } finally {
      this.passing = false;
      // After a throw the batch stays for recall(), and what else is due has a turn of its own.
      if (this.closed) this.store.free();
      else if (done) this.forgetBatch();
      else this.schedule();
    }
  }

  private passDue(now: Micros): void {
    const { budget } = this.end;
    budget?.begin();
    this.passWithin(budget, now);
    budget?.end();
  }

  private passWithin(budget: Budget | null, now: Micros): void {
    let bytes = BYTES_PER_TURN;
    for (let frames = FRAMES_PER_TURN; frames > 0 && bytes > 0 && !this.closed; frames--) {
      const from = this.next;
      if (from.at > now || budget?.takeFrame() === false) return;
      const { at, off, len } = from;
      from.shift();
      this.batch.push(at, off, len);
      this.counts.waiting--;
      this.counts.passed++;
      if (!this.end.take(off, len)) {
        this.counts.waiting++;
        this.counts.passed--;
        from.putBack();
        this.batch.pop();
        this.blocked = true;
        return;
      }
      bytes -= len;
    }
  }

  /** The queue whose turn it is. Due at once, what skipped the delay goes first, what was held last. */
  private get next(): FrameRing {
    const { aside, line } = this;
    return aside.at < line.at || (aside.at === line.at && !this.holds) ? aside : line;
  }

  private forgetBatch(): void {
    for (const { batch } = this; batch.count > 0; batch.shift()) this.store.drop(batch.off);
  }

  /** When there is something to do next. */
  private get due(): Micros {
    if (this.closed) return NEVER;
    if (this.refused && this.hasRoom) return 0;
    return this.blocked ? NEVER : Math.min(this.line.at, this.aside.at);
  }

  private schedule(): void {
    const { due, timer } = this;
    const { clock, timers } = this.host;
    const ms = Math.ceil(due / 1000);
    if (this.isFine || due <= clock.micros()) {
      if (timer.at !== NEVER) timers.disarm(timer);
      this.fine.arm(due);
    } else if (timer.at !== ms) timers.arm(timer, ms);
  }
}

const NOTHING_YET: FaultCounts = {
  ...{ passed: 0, lost: 0, duplicated: 0, reordered: 0, corrupted: 0, queueFull: 0, noMemory: 0 },
  ...{ cutOff: 0, waiting: 0 },
};

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What befalls the next frame. */
export class Fate {
  isLost = false;
  isDuplicated = false;
  isReordered = false;
  isCorrupted = false;
  /** -1 (included) to 1. */
  jitter = 0;
  private bit = 0;
  private readonly figures: FaultFigures;
  private readonly random: Xoshiro;

  /** `stream` tells the directions of a link apart. */
  constructor(figures: FaultFigures, seed: number, stream: number) {
    this.figures = figures;
    this.random = new Xoshiro(seed, stream);
  }

  /** Six words, always. */
  draw(): void {
    const { loss = 0, duplicate = 0, reorder = 0, corrupt = 0 } = this.figures;
    this.isLost = this.share() < loss;
    this.isDuplicated = this.share() < duplicate;
    this.isReordered = this.share() < reorder;
    this.isCorrupted = this.share() < corrupt;
    this.bit = this.random.word() >>> 0;
    this.jitter = this.random.word() / 2147483648;
  }

  /** Which byte of a frame of `len` is hit. */
  byteIn(len: number): number {
    return (this.bit >>> 3) % len;
  }

  get bitMask(): number {
    return 1 << (this.bit & 7);
  }

  /** 0 (included) to 1. */
  private share(): number {
    return (this.random.word() >>> 0) / 4294967296;
  }
}
