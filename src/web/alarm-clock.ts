import type { Clock, Micros, Ms } from '../base/clock.ts';
import { NEVER } from '../base/clock.ts';

/** setTimeout takes no longer delay; a later alarm is put off again when it comes up. */
const MAX_DELAY = 0x7fffffff;

/**
 * Time from what a browser and Node have both; how soon() is done is what they differ in. The alarm is one timeout that
 * keeps no process of Node's alive: a process that waits for something has a socket open for it, and what would be left
 * after the last one (a lease that ends tomorrow) is no reason to stay.
 */
export abstract class AlarmClock implements Clock {
  private readonly origin = performance.now();
  private alarmAt: Ms = NEVER;
  private wake: () => void = () => {};
  private timeout: ReturnType<typeof setTimeout> | null = null;
  private timeoutAt: Ms = NEVER;

  now(): Ms {
    return Math.floor(this.micros() / 1000);
  }

  micros(): Micros {
    return Math.floor((performance.now() - this.origin) * 1000);
  }

  wallNow(): number {
    return performance.timeOrigin + performance.now();
  }

  setAlarm(at: Ms, wake: () => void): void {
    this.alarmAt = at;
    this.wake = wake;
    // A timeout that comes too early finds out in ring(): moving an alarm to later costs nothing.
    if (this.timeout !== null && this.timeoutAt <= at && at !== NEVER) return;
    this.arm();
  }

  abstract soon(wake: () => void): void;

  private arm(): void {
    if (this.timeout !== null) clearTimeout(this.timeout);
    this.timeout = null;
    if (this.alarmAt === NEVER) return;
    const now = this.now();
    const delay = Math.min(Math.max(this.alarmAt - now, 1), MAX_DELAY);
    this.timeoutAt = now + delay;
    this.timeout = setTimeout(this.ring, delay);
    // A browser's timeout is a number.
    (this.timeout as { unref?(): void }).unref?.();
  }

  private readonly ring = (): void => {
    this.timeout = null;
    if (this.now() < this.alarmAt) {
      this.arm();
      return;
    }
    this.alarmAt = NEVER;
    this.wake();
  };
}
