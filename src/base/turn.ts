// One turn is one call into the network from outside (a chunk from a guest, data from a host socket, an alarm) and
// everything it causes before the event loop has control again. Ingress runs first, for every frame of the chunk; then
// each flow that asked for it sends once; then each link flushes once. That order merges ACKs and writes without any
// timer, and nothing is ever re-entered: a call that comes while a turn is past its ingress waits for a turn of its own.
//
// Guests share one processor, and a turn is how it is dealt out: between two turns of a link everybody else's come. So
// what a link may cause in one turn is bounded, counted in work: a frame is one unit, and whoever does what costs more
// than a frame does says so. A link asks before each frame whether its turn is spent, and keeps the rest for the next
// (Budget). So a guest that floods is slowed down, and next to nobody else is: test/e2e/floods.test.ts measures it.

import type { Clock, Ms } from './clock.ts';
import { Marks } from './marks.ts';

/** Sends what it has to send now; called at most once per turn. */
export interface Egress {
  runEgress(now: Ms): void;
}

/** Hands queued bytes on, to the operating system or to the other side; called at most once per turn. */
export interface Flushable {
  /** Called by the turn that wantFlush() was asked in, when its ingress and egress are over. */
  flush(): void;
}

/**
 * Work that one turn does for one link. Measured with one guest that uploads and one that is silent: half of this costs the
 * first a sixth of its throughput, twice this gains nothing.
 */
export const TURN_WORK = 64;
/** The same for a link that is alone: there is nobody to leave anything to, and each turn costs some time of its own. */
export const ALONE_WORK = 12 * TURN_WORK;
/** After so many turns in a row that were a link's own it is alone. */
export const ALONE_AFTER = 64;

/**
 * What is done for a frame, in units of about a microsecond, and more than that for what is of little use: so that a guest
 * which moves data has the larger share. With what comes of it later, as when a socket is closed. From measurements.
 */
export const Work = {
  Frame: 1,
  /** What a segment of a connection does not do: it is dropped or answered, a copy is made, a table changes. */
  Step: 2,
  /** A set of fragments is begun. */
  FragmentSet: 5,
  /** A datagram is handed to the host, a system call each. */
  Datagram: 24,
  /** The host has reported an error for a datagram. */
  HostError: 72,
  /** A message is taken apart and answered: DHCP. */
  Message: 120,
  /** A socket of the host is opened, and closed some time. */
  HostSocket: 720,
} as const;

type Phase = 'idle' | 'ingress' | 'egress' | 'flush';

const runEgressOf = (who: Egress, now: Ms): void => who.runEgress(now);
const flush = (link: Flushable): void => link.flush();

/** One round of work: frames come in, flows do what is due, links send what has gathered. */
export class Turn {
  now: Ms = 0;
  /** Turns so far. */
  count = 0;
  /** What this turn has done so far, in units of Work. */
  work = 0;
  /** Of its links. */
  readonly sharing = new Sharing();
  private readonly clock: Clock;
  private phase: Phase = 'idle';
  /** Marked for this turn, or while idle for the next. */
  private egress = new Marks<Egress>();
  private dirty = new Marks<Flushable>();
  /** Empty ones to change places with, so that a mark made while one is worked through lands in the next turn's. */
  private spareEgress = new Marks<Egress>();
  private spareDirty = new Marks<Flushable>();
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
    this.count++;
    this.work = 0;
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

  /** Is a turn under way? */
  get isRunning(): boolean {
    return this.phase !== 'idle';
  }

  /** Says that something is done which costs more than a frame does. */
  spend(units: number): void {
    this.work += units;
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
    marked.each(runEgressOf, this.now);
    marked.clear();
  }

  private runFlush(): void {
    const marked = this.dirty;
    this.dirty = this.spareDirty;
    this.spareDirty = marked;
    marked.each(flush, undefined);
    marked.clear();
  }

  private forget(): void {
    for (const marks of [this.egress, this.spareEgress, this.dirty, this.spareDirty]) marks.clear();
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

/** Who has had turns: whether a link is alone. Links that are up and silent do not count. */
export class Sharing {
  private last: Budget | null = null;
  private inARow = 0;

  /** Call for each turn of a link: have the last ones all been its own? */
  isAlone(who: Budget): boolean {
    this.inARow = who === this.last ? this.inARow + 1 : 0;
    this.last = who;
    return this.inARow >= ALONE_AFTER;
  }
}

/** What the turns do for one link. What one of them has done beyond its limit is taken off the next ones. */
export class Budget {
  private readonly turn: Turn;
  private readonly elsewhere: Sharing | null;
  private limit = TURN_WORK;
  private debt = 0;

  /** `elsewhere`: who else than the links of `turn` has turns on this thread. */
  constructor(turn: Turn, elsewhere: Sharing | null = null) {
    this.turn = turn;
    this.elsewhere = elsewhere;
  }

  /** Call before the link's first frame of a turn. */
  begin(): void {
    const isAloneHere = this.turn.sharing.isAlone(this);
    const isAlone = (this.elsewhere?.isAlone(this) ?? true) && isAloneHere;
    this.limit = isAlone ? ALONE_WORK : TURN_WORK;
    this.turn.spend(this.debt);
    this.debt = 0;
  }

  /** What is left of this turn for the link: 0 or less, nothing. */
  get left(): number {
    return this.limit - this.turn.work;
  }

  /** Is there enough left for a frame? Then it is taken off. */
  takeFrame(): boolean {
    if (this.left <= 0) return false;
    this.turn.work += Work.Frame;
    return true;
  }

  /** Call after the last frame. */
  end(): void {
    this.debt = Math.max(0, this.turn.work - this.limit);
  }

  /** Will the next turn have nothing for this link? */
  get isOverdrawn(): boolean {
    return this.debt >= this.limit;
  }
}
