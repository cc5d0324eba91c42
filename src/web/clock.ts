import type { Clock, Micros, Ms } from '../base/clock.ts';
import { NEVER } from '../base/clock.ts';

/** setTimeout takes no longer delay; a later alarm is put off again when it comes up. */
const MAX_DELAY = 0x7fffffff;

/** One end of a channel, with what Node has besides. */
interface Port {
  onmessage: ((event: never) => void) | null;
  ref?(): void;
  unref?(): void;
}

/**
 * Time from what a browser and Node have both. soon() goes by a message, which comes after rendering and input had their
 * chance; setTimeout would be held back to 4 ms. In Node the message port keeps the process alive only while something
 * is to be called.
 */
export class WebClock implements Clock {
  private readonly origin = performance.now();
  private alarmAt: Ms = NEVER;
  private wake: () => void = () => {};
  private timeout: ReturnType<typeof setTimeout> | null = null;
  private timeoutAt: Ms = NEVER;
  private readonly port: Port;
  private readonly far: { postMessage(message: null): void };
  private calls: (() => void)[] = [];

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.port = port1 as unknown as Port;
    this.far = port2;
    this.port.onmessage = this.callAll;
    this.port.unref?.();
  }

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

  soon(wake: () => void): void {
    this.calls.push(wake);
    if (this.calls.length > 1) return;
    this.port.ref?.();
    this.far.postMessage(null);
  }

  private readonly callAll = (): void => {
    const { calls } = this;
    this.calls = [];
    this.port.unref?.();
    let called = 0;
    try {
      for (const call of calls) {
        called++;
        call();
      }
    } finally {
      // After a throw those behind the bad one are called all the same.
      for (const call of calls.slice(called)) this.soon(call);
    }
  };

  private arm(): void {
    if (this.timeout !== null) clearTimeout(this.timeout);
    this.timeout = null;
    if (this.alarmAt === NEVER) return;
    const now = this.now();
    const delay = Math.min(Math.max(this.alarmAt - now, 1), MAX_DELAY);
    this.timeoutAt = now + delay;
    this.timeout = setTimeout(this.ring, delay);
    unref(this.timeout);
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

/** In Node a timeout keeps the process alive, and what is left after the last socket is no reason to stay. */
function unref(timeout: unknown): void {
  (timeout as { unref?(): void }).unref?.();
}
