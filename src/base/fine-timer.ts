// A timer to the microsecond, where Timers know milliseconds. At 100 Mbit/s eight full frames leave in a millisecond: who
// hands them on one by one cannot wait for whole ones.
//
// The timer is set a millisecond early, and from there the clock is asked for `soon` again and again until it is time. That
// costs a turn of the event loop each time, a few microseconds with nothing else to do: while such a timer is about to
// fire, the process keeps one CPU busy.

import { type Micros, NEVER } from './clock.ts';
import { Timer, type Timers } from './timers.ts';

/** What is due sooner is waited for with `soon`. */
const SPIN_MICROS = 1500;

export class FineTimer {
  private readonly timers: Timers;
  private readonly call: () => void;
  private at: Micros = NEVER;
  private readonly timer = new Timer(() => this.ring());
  /** What `soon` was asked for and has not come yet: each is earlier than the one before. */
  private readonly asked: Micros[] = [];

  constructor(timers: Timers, call: () => void) {
    this.timers = timers;
    this.call = call;
  }

  /** One call in a turn's ingress, at `at` or as soon after it as can be, instead of when it was armed for before. */
  arm(at: Micros): void {
    const { timer, asked, timers } = this;
    const { clock } = timers;
    this.at = at;
    const now = at === NEVER ? 0 : clock.micros();
    if (at - now >= SPIN_MICROS) {
      // Never for the millisecond that is now: it would come at once, again and again.
      const early = Math.max(Math.floor(at / 1000) - 1, Math.floor(now / 1000) + 1);
      if (timer.at !== early) timers.arm(timer, early);
      return;
    }
    if (timer.at !== NEVER) timers.disarm(timer);
    if (at >= (asked.at(-1) ?? NEVER)) return;
    asked.push(at);
    clock.soon(this.wake, at);
  }

  disarm(): void {
    this.arm(NEVER);
  }

  private readonly wake = (): void => {
    this.asked.pop();
    if (this.at <= this.timers.clock.micros()) this.timers.turn.run(this.fire);
    else this.arm(this.at);
  };

  /** The timer of whole milliseconds has fired, in a turn. */
  private ring(): void {
    if (this.at <= this.timers.clock.micros()) this.fire();
    else this.arm(this.at);
  }

  private readonly fire = (): void => {
    // Another call may have joined the turn before this one.
    if (this.at === NEVER) return;
    this.at = NEVER;
    this.call();
  };
}
