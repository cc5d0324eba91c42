// Deadlines. A binary heap of timers on the clock's one alarm. Moving a timer later costs nothing: the heap keeps the
// earlier place, and the timer is put back when that comes up (a deadline that moves with every ACK is moved for free).

import type { Clock, Ms } from './clock.ts';
import { NEVER } from './clock.ts';
import type { Turn } from './turn.ts';

/** Something that is called at a time. Whoever owns it holds the object; the heap holds it while it is armed. */
export class Timer {
  /** When to fire; NEVER when disarmed. Read only outside this file. */
  at: Ms = NEVER;
  /** Where it stands in the heap, at most `at`; index -1: not in the heap. */
  heapAt: Ms = NEVER;
  index = -1;
  private readonly call: (now: Ms, of: never) => void;
  private readonly of: unknown;

  constructor(call: (now: Ms) => void);
  constructor(call: (now: Ms, of: never) => void, of: unknown);
  constructor(call: (now: Ms, of: never) => void, of?: unknown) {
    this.call = call;
    this.of = of;
  }

  /** Makes the call, armed or not: for Timers, at its time. */
  fire(now: Ms): void {
    this.call(now, this.of as never);
  }
}

/** A timer that hands `of` to `fire`: where there are thousands, they share the function. */
export function timerOf<T>(of: T, fire: (now: Ms, of: T) => void): Timer {
  return new Timer(fire, of);
}

/** Timers of a network, in a heap, on one alarm of its clock. */
export class Timers {
  private readonly heap: Timer[] = [];
  readonly clock: Clock;
  readonly turn: Turn;
  private alarmAt: Ms = NEVER;

  constructor(clock: Clock, turn: Turn) {
    this.clock = clock;
    this.turn = turn;
  }

  /** Timers that are armed. Walks the heap: for statistics and tests. */
  get armed(): number {
    return this.heap.filter((timer) => timer.at !== NEVER).length;
  }

  /** Fires `timer` at `at` or soon after, instead of whenever it was armed for before. NEVER disarms. */
  arm(timer: Timer, at: Ms): void {
    timer.at = at;
    if (at === NEVER) {
      if (timer.index >= 0) this.remove(timer);
      return;
    }
    if (timer.index < 0) {
      timer.heapAt = at;
      timer.index = this.heap.length;
      this.heap.push(timer);
      this.up(timer);
    } else if (at < timer.heapAt) {
      timer.heapAt = at;
      this.up(timer);
    } else return;
    if (this.heap[0] === timer) this.setAlarm();
  }

  /** It does not fire until it is armed again. */
  disarm(timer: Timer): void {
    this.arm(timer, NEVER);
  }

  /** Disarms all of them and the alarm. */
  clear(): void {
    for (const timer of this.heap) {
      timer.at = NEVER;
      timer.index = -1;
    }
    this.heap.length = 0;
    this.setAlarm();
  }

  private readonly wake = (): void => {
    this.alarmAt = NEVER;
    this.turn.run(this.fireDue);
  };

  private readonly fireDue = (): void => {
    const now = this.turn.now;
    for (let top = this.heap[0]; top !== undefined && top.heapAt <= now; top = this.heap[0]) {
      if (top.at <= now) {
        this.remove(top);
        top.at = NEVER;
        top.fire(now);
      } else {
        top.heapAt = top.at;
        this.down(top);
      }
    }
    this.setAlarm();
  };

  private setAlarm(): void {
    const at = this.heap[0]?.heapAt ?? NEVER;
    if (at === this.alarmAt) return;
    this.alarmAt = at;
    this.clock.setAlarm(at, this.wake);
  }

  private remove(timer: Timer): void {
    const index = timer.index;
    timer.index = -1;
    const last = this.heap.pop()!;
    if (last !== timer) {
      this.place(last, index);
      this.up(last);
      this.down(last);
    }
    if (index === 0) this.setAlarm();
  }

  private place(timer: Timer, index: number): void {
    this.heap[index] = timer;
    timer.index = index;
  }

  private up(timer: Timer): void {
    let i = timer.index;
    while (i > 0) {
      const parent = this.heap[(i - 1) >> 1]!;
      if (parent.heapAt <= timer.heapAt) break;
      this.place(parent, i);
      i = (i - 1) >> 1;
    }
    this.place(timer, i);
  }

  private down(timer: Timer): void {
    let i = timer.index;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= this.heap.length) break;
      const right = this.heap[child + 1];
      if (right !== undefined && right.heapAt < this.heap[child]!.heapAt) child++;
      const next = this.heap[child]!;
      if (timer.heapAt <= next.heapAt) break;
      this.place(next, i);
      i = child;
    }
    this.place(timer, i);
  }
}
