// Time in a test. With a clock that is moved by hand nothing comes by itself, so whoever waits has it moved: as long as
// something is being waited for, everything that can happen now happens, code that was waiting for it included, and then
// the clock goes to the next deadline. So a time limit of minutes costs as much as the few steps up to it.
//
// Code that waits goes on in microtasks. There is no asking whether any are left, so each time a fixed number of them is
// let by: a chain of more awaits than that without anything for the network to do sees time pass meanwhile, the same
// time in each run.
//
// With a clock that moves by itself there is nothing to do here.

import { type Clock, type Micros, type Ms, NEVER } from '../base/clock.ts';
import { ManualClock } from '../base/manual-clock.ts';

/** Microtasks in a row that code may need to go on. */
const MICROTASKS = 100;

export class TestTime {
  /** What the network gets: the clock, and we know when it was asked for something. */
  readonly clock: Clock;
  private readonly manual: ManualClock | null;
  private readonly idle: (() => Promise<unknown>) | null;
  /** Goes up when there is something to do before time passes. */
  private asked = 0;
  private readonly drives = new Set<(error: Error) => void>();
  private isMoving = false;

  /** `idle`: awaited before time passes, for code that goes on in other ways than by microtasks. */
  constructor(clock: Clock, idle: (() => Promise<unknown>) | null) {
    this.idle = idle;
    this.manual = clock instanceof ManualClock ? clock : null;
    this.clock = {
      now: () => clock.now(),
      micros: () => clock.micros(),
      wallNow: () => clock.wallNow(),
      setAlarm: (at: Ms, wake: () => void) => clock.setAlarm(at, wake),
      soon: (wake: () => void, notBefore?: Micros) => {
        this.asked++;
        clock.soon(wake, notBefore);
      },
    };
  }

  /** Moves the clock until `promise` is settled, and settles as that. */
  drive<T>(promise: Promise<T>): Promise<T> {
    if (this.manual === null) return promise;
    const { manual } = this;
    return new Promise<T>((resolve, reject) => {
      const fail = (error: Error): void => {
        this.drives.delete(fail);
        reject(error);
      };
      this.drives.add(fail);
      this.asked++;
      promise.then((value) => {
        this.drives.delete(fail);
        resolve(value);
      }, fail);
      if (!this.isMoving) void this.move(manual);
    });
  }

  /** Rejects everything that is being driven with `error`. False where that is nothing. */
  fail(error: Error): boolean {
    const failed = [...this.drives];
    for (const fail of failed) fail(error);
    return failed.length > 0;
  }

  private async move(clock: ManualClock): Promise<void> {
    this.isMoving = true;
    while (this.drives.size > 0) {
      try {
        clock.runSoon();
        const before = this.asked;
        for (let i = 0; i < MICROTASKS && this.asked === before && this.drives.size > 0; i++) await null;
        if (this.asked === before && this.idle !== null) await this.idle();
        // Decided in the same step as what follows: whoever has gone on meanwhile comes before time passes.
        if (this.asked !== before || this.drives.size === 0) continue;
        const next = clock.nextAlarm;
        if (next === NEVER) this.fail(new Error('nothing is left that could happen'));
        else clock.advanceTo(Math.max(next, clock.now()));
      } catch (error) {
        this.fail(error instanceof Error ? error : new Error(String(error)));
      }
    }
    this.isMoving = false;
  }
}
