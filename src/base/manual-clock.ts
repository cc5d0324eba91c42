import type { Clock, Micros, Ms } from './clock.ts';
import { NEVER } from './clock.ts';

interface FineCall {
  readonly at: Micros;
  readonly wake: () => void;
}

/**
 * A clock that is moved by hand, from zero on: for tests and replays. Alarms fire in order while it moves, `soon` calls
 * in runSoon() and before moving.
 */
export class ManualClock implements Clock {
  private time: Micros = 0;
  private alarmAt: Ms = NEVER;
  private wake: (() => void) | null = null;
  private queue: (() => void)[] = [];
  /** `soon` calls that are of no use yet: they come when their time does, to the microsecond. */
  private fine: FineCall[] = [];
  private readonly wallStart: number;

  /** `wallStart`: what wallNow() says at first, milliseconds since 1970. */
  constructor(wallStart = 1_600_000_000_000) {
    this.wallStart = wallStart;
  }

  now(): Ms {
    return Math.floor(this.time / 1000);
  }

  micros(): Micros {
    return this.time;
  }

  wallNow(): number {
    return this.wallStart + this.time / 1000;
  }

  setAlarm(at: Ms, wake: () => void): void {
    this.alarmAt = at;
    this.wake = wake;
  }

  soon(wake: () => void, notBefore: Micros = 0): void {
    if (notBefore <= this.time) this.queue.push(wake);
    else this.fine.push({ at: Math.ceil(notBefore), wake });
  }

  /** When something comes by itself, NEVER if nothing does. */
  get nextAlarm(): Ms {
    return Math.min(this.alarmAt, Math.ceil(this.nextFine / 1000));
  }

  /** `soon` calls that have not come. */
  get soonCount(): number {
    return this.queue.length + this.fine.length;
  }

  /** Runs what asked for `soon`, and what that asks for, up to `rounds` times. */
  runSoon(rounds = 10_000): void {
    for (let i = 0; i < rounds && this.queue.length > 0; i++) {
      const calls = this.queue;
      this.queue = [];
      for (const call of calls) call();
    }
  }

  /** Moves on by `ms`, rounded to the microsecond. */
  advance(ms: number): void {
    this.moveTo(this.time + Math.round(ms * 1000));
  }

  /** Moves on by whole microseconds. */
  advanceMicros(micros: Micros): void {
    this.moveTo(this.time + micros);
  }

  /** Moves on to that time; one in the past moves nothing. */
  advanceTo(until: Ms): void {
    this.moveTo(until * 1000);
  }

  private moveTo(until: Micros): void {
    this.runSoon();
    for (;;) {
      const next = Math.min(this.wake === null ? NEVER : this.alarmAt * 1000, this.nextFine);
      if (next > until || next === NEVER) break;
      this.time = Math.max(this.time, next);
      if (this.nextFine <= this.time) this.queueFine();
      else this.ring();
      this.runSoon();
    }
    this.time = Math.max(this.time, until);
  }

  private get nextFine(): Micros {
    return this.fine.reduce((least, call) => Math.min(least, call.at), NEVER);
  }

  private queueFine(): void {
    const due = this.fine.filter((call) => call.at <= this.time);
    this.fine = this.fine.filter((call) => call.at > this.time);
    for (const call of due) this.queue.push(call.wake);
  }

  private ring(): void {
    const { wake } = this;
    this.alarmAt = NEVER;
    this.wake = null;
    wake?.();
  }
}
