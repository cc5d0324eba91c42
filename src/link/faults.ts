// A link around a link that is bad on purpose, and as bad again with the same seed: what a network emulator does, in
// front of any guest. Each direction is a lane of its own (fault-lane.ts).
//
// A frame for the guest is built where it waits; when it is due, the inner link gets a copy. If that is full, the frame
// waits, and those behind it. A frame from the guest is copied as it comes, and given to the sink later, in a turn of
// the lane's. Without a rate reserve() refuses while the inner link is full, as that link would.

import { assert } from '../base/assert.ts';
import { Drop } from '../base/drop.ts';
import { Budget } from '../base/turn.ts';
import { Fate, FaultLane } from './fault-lane.ts';
import {
  checkFaults,
  DEFAULT_SEED,
  type FaultFigures,
  type FaultOptions,
  figuresOf,
} from './fault-options.ts';
import type { FaultStats } from './fault-stats.ts';
import type { Link, LinkHost, LinkLosses, LinkSink, ShowFrame } from './link.ts';

/**
 * `link` with faults: attach the result instead of it. Frames that are on their way when the cable is pulled out, from
 * either side, are lost. Throws a RangeError or TypeError that names the option. One around another works, and the
 * statistics have the counts of the outer one only.
 *
 * Memory: each direction holds 128 KiB of the network's arena while the link is up, and up to 8 MiB or a sixteenth of the
 * arena, whichever is less, while frames wait; with a rate, the one to the guest room for one frame more. All links of
 * one network that are bad on purpose hold a quarter of its arena at most, three quarters of that for frames that wait;
 * attach() throws when the quarter is used up. A frame that finds no memory is dropped and counted (`noMemory`), but for
 * one to the guest where that direction has no rate: it is refused, as by any link that is full.
 */
export function faultyLink(link: Link, options: FaultOptions): Link {
  checkFaults(options);
  return new FaultyLink(link, options);
}

/** What an attached link has. */
interface Attached {
  readonly sink: LinkSink;
  readonly host: LinkHost;
  readonly toGuest: FaultLane;
  readonly fromGuest: FaultLane;
}

class FaultyLink implements Link, LinkSink {
  private readonly inner: Link;
  /** What is changed in the options afterwards was not checked, so it is not looked at. */
  private readonly toFigures: FaultFigures;
  private readonly fromFigures: FaultFigures;
  private readonly seed: number;
  private attached: Attached | null = null;
  private down = false;
  private toldDown = false;

  constructor(inner: Link, options: FaultOptions) {
    this.inner = inner;
    this.toFigures = figuresOf(options, 'toGuest');
    this.fromFigures = figuresOf(options, 'fromGuest');
    this.seed = options.seed ?? DEFAULT_SEED;
  }

  get name(): string {
    return this.inner.name;
  }

  get maxFrame(): number {
    return this.inner.maxFrame;
  }

  get faults(): FaultStats | undefined {
    if (this.attached === null) return undefined;
    const { toGuest, fromGuest } = this.attached;
    return { toGuest: { ...toGuest.counts }, fromGuest: { ...fromGuest.counts } };
  }

  get losses(): LinkLosses | undefined {
    return this.inner.losses;
  }

  attach(sink: LinkSink, host: LinkHost): void {
    if (this.down) throw new Error(`the link ${this.name} is closed`);
    assert(this.attached === null, 'a link is attached once');
    const { inner, toFigures, fromFigures, seed } = this;
    const toEnd = {
      maxFrame: inner.maxFrame,
      budget: null,
      take: (off: number, len: number) => inner.send(off, len),
      onRoom: () => sink.onLinkWritable(),
    };
    const toGuest = new FaultLane(host, toFigures, new Fate(toFigures, seed, 0), toEnd, true);
    let fromGuest: FaultLane | null = null;
    // The inner link's pays for the copies that are made as frames come; what they cause when they are due, this one.
    const budget = new Budget(host.turn);
    try {
      const fromEnd = {
        maxFrame: 0,
        budget,
        take: (off: number, len: number) => {
          sink.onFrame(off, len);
          return true;
        },
        onRoom: () => {},
      };
      fromGuest = new FaultLane(host, fromFigures, new Fate(fromFigures, seed, 1), fromEnd, false);
      this.attached = { sink, host, toGuest, fromGuest };
      inner.attach(this, host);
    } catch (error) {
      this.attached = null;
      toGuest.close();
      fromGuest?.close();
      throw error;
    }
  }

  reserve(maxLen: number): number {
    return this.attached?.toGuest.reserve(maxLen) ?? -1;
  }

  commit(len: number): void {
    this.attached?.toGuest.commit(len);
  }

  send(off: number, len: number): boolean {
    const to = this.reserve(len);
    if (to < 0) return false;
    this.attached?.host.arena.memory.copy(to, off, len);
    this.commit(len);
    return true;
  }

  flush(): void {
    this.inner.flush();
  }

  close(): Promise<void> {
    this.end();
    return this.inner.close();
  }

  recall(show: ShowFrame): void {
    if (this.attached === null) return;
    const { host, toGuest, fromGuest } = this.attached;
    const { memory } = host.arena;
    fromGuest.recallBatch((off, len) => show('from-guest', memory, off, len));
    // What the inner link has of frames from the guest, the network has not seen: they wait here, or met their fate.
    this.inner.recall?.((direction, at, off, len) => {
      if (direction === 'to-guest') show(direction, at, off, len);
    });
    toGuest.recallWaiting((off, len) => show('to-guest', memory, off, len));
  }

  /** What becomes of the frame is known when its time comes. */
  onFrame(off: number, len: number): Drop {
    this.attached?.fromGuest.accept(off, len);
    return Drop.None;
  }

  onLinkWritable(): void {
    this.attached?.toGuest.unblock();
  }

  /** Also after close(): the inner link may be one that says so then. */
  onLinkDown(reason: string): void {
    if (this.toldDown) return;
    this.toldDown = true;
    this.end();
    this.attached?.sink.onLinkDown(reason);
  }

  private end(): void {
    if (this.down) return;
    this.down = true;
    this.attached?.toGuest.close();
    this.attached?.fromGuest.close();
  }
}
