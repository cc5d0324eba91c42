// One direction of a link that is bad on purpose. A frame that comes is given its fate by the seed, then it leaves at the
// rate, then it is on its way for the delay:
//
//   commit() -> lost? -> queue in front of the rate -> delay and jitter -> LaneEnd.take()
//                                                  \-> reordered: no delay, or held for the next frame
//
// The fate of the n-th frame is the n-th group of WORDS words of a generator, drawn for every frame whatever becomes of
// it: it depends on nothing but the seed, the direction and n. Times are microseconds of the clock, with a fraction. When
// a frame leaves is computed from when the one before it left, not from when we woke, so nothing adds up; what the queue
// holds is computed too, from the times at which its frames begin to leave.
//
// Frames wait in two queues, each in the order of its times: `line`, and `express` for what was picked to be reordered.
// Those that are due are handed on in a turn, so many at most, the others in the next.
//
// Waking up. Without a rate a millisecond is fine enough: one timer, for the frame that is due first. With a rate it is
// not: at 100 Mbit/s eight full frames leave in a millisecond, and handed on together they would be a burst in front of
// whatever comes behind. So that is a FineTimer, and while frames are leaving, the process keeps one CPU busy. It does
// not when the rate is idle.

import { type Micros, NEVER } from '../base/clock.ts';
import { FineTimer } from '../base/fine-timer.ts';
import type { Memory } from '../base/memory.ts';
import { Timer } from '../base/timers.ts';
import { Xoshiro } from '../base/xoshiro.ts';
import { DEFAULT_QUEUE, type FaultFigures } from './fault-options.ts';
import type { FaultCounts } from './fault-stats.ts';
import { FrameRing, FrameStore } from './frame-store.ts';
import type { LinkHost } from './link.ts';

/** What one turn hands on. */
const FRAMES_PER_TURN = 64;
const BYTES_PER_TURN = 262144;

/** How long a frame is held for another to overtake it. */
const HOLD_MICROS = 3000;

/** Where a lane ends. */
export interface LaneEnd {
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
  private readonly express = new FrameRing();
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

  private readonly timer = new Timer(() => this.run());
  private readonly fine: FineTimer;

  /** Throws when the arena has no room for its first block. `stream` tells the directions of a link apart. */
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
    this.direct = direct && delay === 0 && jitter === 0 && rate === 0;
    this.store = new FrameStore(host.arena);
    this.fine = new FineTimer(host.timers, this.run);
  }

  /** See Link.reserve. */
  reserve(maxLen: number): number {
    this.reservedAt = this.hasRoom ? this.store.place(maxLen) : -1;
    if (this.reservedAt < 0) this.refused = true;
    return this.reservedAt;
  }

  /** The reserved frame, `len` bytes of it, goes its way. Never calls LaneEnd.onRoom. */
  commit(len: number): void {
    const off = this.reservedAt;
    this.reservedAt = -1;
    if (off < 0) return;
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
      const copy = this.store.place(len);
      if (copy >= 0) memory.copy(copy, off, len);
      else counts.queueFull++;
      if (copy >= 0) this.enter(copy, len, now);
    }
    if (entered && fate.isReordered) counts.reordered++;
    if (entered && fate.isCorrupted && len > 0) {
      counts.corrupted++;
      memory.bytes[off + fate.byteIn(len)]! ^= fate.bitMask;
    }
    if (this.direct && !this.passing && !this.blocked) this.pass();
    this.schedule();
  }

  /** A frame that the other side does not wait with: at [off, off+len), lent for the call. */
  accept(off: number, len: number): void {
    const at = this.closed ? -1 : this.store.place(len);
    this.reservedAt = at;
    if (at >= 0) {
      this.memory.copy(at, off, len);
      this.commit(len);
    } else if (!this.closed) {
      this.fate.draw();
      this.counts.queueFull++;
    }
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
    this.express.clear();
    this.starts.clear();
    this.reservedAt = -1;
    if (!this.passing) this.store.free();
  }

  /** Frames that were handed on in the turn that threw. */
  recallBatch(show: (off: number, len: number) => void): void {
    if (!this.closed) this.batch.each(show);
  }

  recallWaiting(show: (off: number, len: number) => void): void {
    this.express.each(show);
    this.line.each(show);
  }

  private get hasRoom(): boolean {
    if (this.closed || this.store.full) return false;
    // In front of a rate frames wait, and are dropped, as if the link took them at any time.
    return !this.blocked || this.microsPerByte > 0;
  }

  /** Puts the frame that place() was asked for on its way. False when the queue in front of the rate is full. */
  private enter(off: number, len: number, now: Micros): boolean {
    const { fate, line, express, starts } = this;
    let leaves = now;
    if (this.microsPerByte > 0) {
      while (starts.at <= now) starts.shift();
      if (starts.count >= this.queue) {
        this.counts.queueFull++;
        return false;
      }
      const begins = Math.max(now, this.leftAt);
      if (begins > now) starts.push(begins, 0, 0);
      leaves = begins + len * this.microsPerByte;
      this.leftAt = leaves;
    }
    this.store.keep(len);
    this.counts.waiting++;
    if (fate.isReordered) {
      express.push(this.delayMicros > 0 ? leaves : leaves + HOLD_MICROS, off, len);
      return true;
    }
    const delay = Math.max(0, this.delayMicros + fate.jitter * this.jitterMicros);
    this.lastDue = Math.max(this.lastDue, leaves + delay);
    line.push(this.lastDue, off, len);
    // Those that were held for this one come right behind it.
    for (; this.delayMicros === 0 && express.count > 0 && express.at >= this.lastDue; express.shift())
      line.push(this.lastDue, express.off, express.len);
    return true;
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
    let bytes = BYTES_PER_TURN;
    for (let frames = FRAMES_PER_TURN; frames > 0 && bytes > 0 && !this.closed; frames--) {
      const from = this.express.at <= this.line.at ? this.express : this.line;
      if (from.at > now) return;
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

  private forgetBatch(): void {
    for (const { batch } = this; batch.count > 0; batch.shift()) this.store.drop(batch.off);
  }

  /** When there is something to do next. */
  private get due(): Micros {
    if (this.closed) return NEVER;
    if (this.refused && this.hasRoom) return 0;
    return this.blocked ? NEVER : Math.min(this.line.at, this.express.at);
  }

  private schedule(): void {
    const { due, timer } = this;
    const { clock, timers } = this.host;
    const ms = Math.ceil(due / 1000);
    if (this.microsPerByte > 0 || due <= clock.micros()) {
      if (timer.at !== NEVER) timers.disarm(timer);
      this.fine.arm(due);
    } else if (timer.at !== ms) timers.arm(timer, ms);
  }
}

const NOTHING_YET: FaultCounts = {
  ...{ passed: 0, lost: 0, duplicated: 0, reordered: 0, corrupted: 0, queueFull: 0, cutOff: 0, waiting: 0 },
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
