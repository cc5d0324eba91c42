// One turn is one call into the network from outside (a chunk from a guest, data from a host socket, an alarm) and
// everything it causes before the event loop has control again. Ingress runs first, for every frame of the chunk; then
// each flow that asked for it sends once; then each link flushes once. That order merges ACKs and writes without any
// timer, and nothing is ever re-entered: a call that comes while a turn is past its ingress waits for a turn of its own.

import type { Clock, Ms } from './clock.ts';

/** Sends what it has to send now; called at most once per turn. */
export interface Egress {
  runEgress(now: Ms): void;
}

/** Hands queued bytes on, to the operating system or to the other side; called at most once per turn. */
export interface Flushable {
  flush(): void;
}

type Phase = 'idle' | 'ingress' | 'egress' | 'flush';

export class Turn {
  now: Ms = 0;
  private readonly clock: Clock;
  private phase: Phase = 'idle';
  /** Marked for this turn, or while idle for the next. */
  private egress = new Set<Egress>();
  private dirty = new Set<Flushable>();
  /** Empty sets to change places with, so that a mark made while a set is worked through lands in the next turn's. */
  private spareEgress = new Set<Egress>();
  private spareDirty = new Set<Flushable>();
  private later: (() => void)[] = [];
  private laterAsked = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /**
   * Every adapter wraps its callback in run(). Inside an ingress phase `ingress` joins it; past that, it runs in a
   * turn of its own right after the event loop had its chance. A throw is a bug of ours: it leaves run(), and what was
   * marked is forgotten. `of` is handed to `ingress`, so that whoever there are thousands of needs no closure for it.
   */
  run(ingress: () => void): void;
  run<T>(ingress: (of: T) => void, of: T): void;
  run<T>(ingress: (of?: T) => void, of?: T): void {
    if (this.phase === 'ingress') {
      ingress(of);
      return;
    }
    if (this.phase !== 'idle') {
      this.later.push(() => ingress(of));
      this.askLater();
      return;
    }
    this.now = this.clock.now();
    let done = false;
    try {
      this.phase = 'ingress';
      ingress(of);
      this.phase = 'egress';
      this.runEgress();
      this.phase = 'flush';
      this.runFlush();
      done = true;
    } finally {
      if (!done) this.forget();
      this.phase = 'idle';
    }
  }

  /** `who` sends once at the end of this turn; asked for while flows send, in the next turn. */
  wantEgress(who: Egress): void {
    this.egress.add(who);
    if (this.phase !== 'ingress') this.askLater();
  }

  /** `link` is flushed once at the end of this turn; asked for while links flush, in the next turn. */
  wantFlush(link: Flushable): void {
    this.dirty.add(link);
    if (this.phase === 'idle' || this.phase === 'flush') this.askLater();
  }

  private runEgress(): void {
    const marked = this.egress;
    this.egress = this.spareEgress;
    this.spareEgress = marked;
    for (const who of marked) who.runEgress(this.now);
    marked.clear();
  }

  private runFlush(): void {
    const marked = this.dirty;
    this.dirty = this.spareDirty;
    this.spareDirty = marked;
    for (const link of marked) link.flush();
    marked.clear();
  }

  private forget(): void {
    for (const set of [this.egress, this.spareEgress, this.dirty, this.spareDirty]) set.clear();
  }

  private askLater(): void {
    if (this.laterAsked) return;
    this.laterAsked = true;
    this.clock.soon(this.runLater);
  }

  private readonly runLater = (): void => {
    this.laterAsked = false;
    this.run(this.joinLater);
  };

  private readonly joinLater = (): void => {
    const calls = this.later;
    this.later = [];
    let begun = 0;
    try {
      for (const call of calls) {
        begun++;
        call();
      }
    } finally {
      // After a throw the calls behind the bad one come in the next turn: their bytes are nobody else's fault.
      if (begun < calls.length) {
        this.later = [...calls.slice(begun), ...this.later];
        this.askLater();
      }
    }
  };
}
