import type { Clock, Ms } from '../../src/base/clock.ts';
import { NEVER } from '../../src/base/clock.ts';

/** A clock that a test moves by hand. Alarms fire in order while it moves, `soon` calls in runSoon() and before moving. */
export class ManualClock implements Clock {
  private time: Ms = 0;
  private alarmAt: Ms = NEVER;
  private wake: (() => void) | null = null;
  private queue: (() => void)[] = [];

  now(): Ms {
    return this.time;
  }

  wallNow(): number {
    return 1_600_000_000_000 + this.time;
  }

  setAlarm(at: Ms, wake: () => void): void {
    this.alarmAt = at;
    this.wake = wake;
  }

  soon(wake: () => void): void {
    this.queue.push(wake);
  }

  /** When the alarm is set for, NEVER if it is not. */
  get nextAlarm(): Ms {
    return this.alarmAt;
  }

  get soonCount(): number {
    return this.queue.length;
  }

  /** Runs what asked for `soon`, and what that asks for, up to `rounds` times. */
  runSoon(rounds = 10_000): void {
    for (let i = 0; i < rounds && this.queue.length > 0; i++) {
      const calls = this.queue;
      this.queue = [];
      for (const call of calls) call();
    }
  }

  advance(ms: number): void {
    this.advanceTo(this.time + ms);
  }

  advanceTo(until: Ms): void {
    this.runSoon();
    while (this.alarmAt <= until && this.wake !== null) {
      this.time = Math.max(this.time, this.alarmAt);
      const wake = this.wake;
      this.alarmAt = NEVER;
      this.wake = null;
      wake();
      this.runSoon();
    }
    this.time = Math.max(this.time, until);
  }
}
